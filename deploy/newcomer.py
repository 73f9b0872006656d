"""A new environment: its two files of the inventory, and a look at what it will need."""

from __future__ import annotations

import ipaddress
import re
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from deploy.errors import Refused

NAME = re.compile(r"[a-z][a-z0-9_]*")
# Groups that Ansible or the playbooks know already.
TAKEN = {"all", "app", "db", "ungrouped"}
DOMAIN = re.compile(r"((?!-)[a-z0-9-]{1,63}(?<!-)\.)+(?!\d+$)(?!-)[a-z0-9-]{1,63}(?<!-)")
KEYS = ("id_ed25519.pub", "id_ecdsa.pub", "id_rsa.pub")
SECONDS = 5

HOSTS = """\
---
# Facts of this environment: group_vars/{name}.yml.
{name}:
  children:
    app:
      hosts:
        {host}:
          ansible_host: {address}
    db:
      hosts:
        {host}:
"""
FACTS = """\
---
environment_name: {name}
# The first is where the site is; the others lead to it.
site_domains: {domains}
# Who may deploy.
site_deploy_keys:
  - {key}
# Where the certificate authority writes to.
site_acme_email: {email}
"""
SITE = """\
# Unix user, database, folder under /srv; and who owns the releases. Each site has its own.
site_app: {app}
site_deploy_user: deploy-{app}
"""
OPERATOR = """\
# As whom Ansible logs in. The first run comes in as root and makes this account; root's log-in is
# closed once it works.
ansible_user: {operator}
site_operators:
  {operator}:
    - {key}
"""


@dataclass(frozen=True)
class Newcomer:
    """What is said of the environment.

    ``operator`` is "" where root goes on logging in, ``app`` where the inventory's own name stays.
    """

    name: str
    address: str
    domains: tuple[str, ...]
    email: str
    key: str
    operator: str
    app: str


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, and what to do about it (None: it is well)."""

    what: str
    told: str
    advice: str | None = None


def checked(root: Path, new: Newcomer) -> Newcomer:
    """The same, when the files can be written.

    Raises:
        Refused: a name, address or domain that cannot be; an environment that is there already.
    """
    if not NAME.fullmatch(new.name) or new.name in TAKEN:
        raise Refused(
            f"{new.name!r} cannot name an environment: use lower-case letters, digits and _, and "
            f"none of {', '.join(sorted(TAKEN))}"
        )
    for path in paths(root, new.name):
        if path.exists():
            raise Refused(
                f"{path.relative_to(root)} is there already. Take another name, or edit the file"
            )
    if new.app and not NAME.fullmatch(new.app):
        raise Refused(
            f"{new.app!r} cannot name a site: use lower-case letters, digits and _, beginning with "
            "a letter"
        )
    if not _is_address(new.address) and not DOMAIN.fullmatch(new.address):
        raise Refused(f"{new.address!r} is no address and no host name. Write 203.0.113.10")
    for domain in new.domains:
        if not DOMAIN.fullmatch(domain):
            raise Refused(f"{domain!r} is no domain. Write a full host name: library.example.org")
    if "@" not in new.email:
        raise Refused(
            "The certificate authority needs a mail address. Add: --email you@example.org"
        )
    return new


def paths(root: Path, name: str) -> tuple[Path, Path]:
    """The hosts' file and the facts' file."""
    inventory = root / "inventory"
    return inventory / f"{name}.yml", inventory / "group_vars" / f"{name}.yml"


def write(root: Path, new: Newcomer) -> None:
    hosts, facts = paths(root, new.name)
    host = new.domains[0].partition(".")[0]
    values = {
        "name": new.name,
        "host": host if host != new.name and host not in TAKEN else f"{host}1",
        "address": new.address,
        "domains": yaml.safe_dump(list(new.domains), default_flow_style=True, width=1000).strip(),
        "key": new.key,
        "email": new.email,
        "operator": new.operator,
        "app": new.app,
    }
    text = FACTS + (SITE if new.app else "") + (OPERATOR if new.operator else "")
    facts.write_text(text.format(**values))
    hosts.write_text(HOSTS.format(**values))


def public_key(folder: Path) -> str:
    """The user's public SSH key, as ssh itself would choose it.

    Raises:
        Refused: there is none.
    """
    for name in KEYS:
        file = folder / name
        if file.is_file():
            return " ".join(file.read_text().split())
    raise Refused(
        f"{folder} holds no public key ({', '.join(KEYS)}). Make one: ssh-keygen -t ed25519, or "
        "name yours: --key FILE"
    )


def look(new: Newcomer) -> list[Finding]:
    """Names, port and host key, as they are now; nothing is changed."""
    return [*names(new.domains, new.address), *_ssh(new.address)]


def names(domains: Sequence[str], address: str) -> list[Finding]:
    """Where each domain leads to, of a droplet with this address."""
    addresses = _addresses(address)
    return [_name(domain, addresses) for domain in domains]


def _name(domain: str, wanted: set[str]) -> Finding:
    found = _addresses(domain)
    if not found:
        return Finding(domain, "has no address in the DNS", f"set its A record to {_list(wanted)}")
    if found - wanted:
        return Finding(
            domain,
            f"leads to {_list(found)}, and the droplet is {_list(wanted)}",
            "set its A and AAAA records right, or no certificate can be issued",
        )
    return Finding(domain, f"leads to {_list(found)}")


def _ssh(address: str) -> list[Finding]:
    """What answers on port 22, and whether its key is known."""
    seen = subprocess.run(
        ["ssh-keyscan", "-T", str(SECONDS), "-t", "ed25519", address],
        capture_output=True,
        text=True,
    ).stdout
    if not seen.strip():
        return [Finding("ssh", f"nobody answers on port 22 of {address}", "is it up?")]
    print_of = subprocess.run(
        ["ssh-keygen", "-l", "-f", "-"], input=seen, capture_output=True, text=True
    ).stdout.split()[1]
    known = subprocess.run(["ssh-keygen", "-F", address], capture_output=True).returncode == 0
    if not known:
        return [
            Finding(
                "ssh",
                f"its key is not known yet: {print_of}",
                f"compare it with your provider's console, then log in once: ssh root@{address}",
            )
        ]
    options = ("-o", "BatchMode=yes", "-o", f"ConnectTimeout={SECONDS}")
    tried = subprocess.run(
        ["ssh", *options, f"root@{address}", "true"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if tried.returncode:
        said = (tried.stderr.strip().splitlines() or ["no reason"])[-1]
        return [Finding("ssh", f"root does not get in: {said}", "put your key there first")]
    return [Finding("ssh", f"root gets in; the key is {print_of}")]


def _addresses(name: str) -> set[str]:
    try:
        found = socket.getaddrinfo(name, None, proto=socket.IPPROTO_TCP)
    except OSError:
        return set()
    return {str(entry[4][0]) for entry in found}


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _list(addresses: Sequence[str] | set[str]) -> str:
    return ", ".join(sorted(addresses)) or "unknown"
