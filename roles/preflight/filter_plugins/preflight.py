"""What stops a run before any change: each check returns sentences that say what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

import idna

# A Linux user name has at most 32 characters; PostgreSQL's 63 and the 107 of a unix socket's path
# (/srv/<app>/releases/<28 characters>/run/web.sock) leave room for more.
LONGEST_APP_NAME = 32
# Users that Debian makes, those of packages, databases that PostgreSQL makes, the folder of this
# project, and beginnings of Nginx's own variables.
# fmt: off
RESERVED_APP_NAMES = {
    "adm", "arg", "backup", "bin", "cookie", "daemon", "default", "games", "http", "irc", "list",
    "lp", "mail", "man", "news", "nobody", "postgres", "proxy", "public", "redis", "root", "sent",
    "slipway", "sshd", "sudo", "sync", "sys", "template0", "template1", "upstream", "uucp", "www",
}
# fmt: on
RESERVED_BEGINNINGS = ("arg_", "cookie_", "http_", "pg_", "sent_", "upstream_")
ADDONS = ("redis",)
PUBLIC_KEY = re.compile(r"(ssh-|ecdsa-|sk-)[\w@.-]+ [A-Za-z0-9+/]+=*( .*)?")
# A machine sold with 512 MB reports about 460: the kernel keeps the rest for itself.
KERNEL_SHARE = 0.15


def missing_variables(required: Mapping[str, str], defined: Sequence[str]) -> list[str]:
    """One sentence for each required variable whose name is not among the defined ones."""
    if not required:
        return [
            "The inventory comes without its facts: keep the hosts file beside group_vars, "
            "as inventory/staging.yml is (in a folder of its own, group_vars is not read)."
        ]
    return [
        f"{name} is not set: {meaning}. Set it in inventory/group_vars/<environment>.yml."
        for name, meaning in required.items()
        if name not in defined
    ]


def _normalised(domain: str) -> str:
    """The IDNA form of what was probably meant, or "" when nothing can be guessed."""
    bare = re.sub(r"^[a-z][a-z0-9+.-]*://", "", domain.strip(), flags=re.IGNORECASE)
    bare = re.split(r"[/?#:]", bare, maxsplit=1)[0].rstrip(".")
    try:
        guess = idna.encode(bare, uts46=True).decode("ascii")
    except idna.IDNAError:
        return ""
    return guess if _is_domain(guess) else ""


def _is_domain(text: str) -> bool:
    label = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
    if len(text) > 253 or not re.fullmatch(rf"({label}\.)+(?!\d+$){label}", text):
        return False
    try:
        idna.decode(text)
    except idna.IDNAError:
        return False
    return True


def domain_findings(domains: Any) -> list[str]:
    """One sentence for each entry that no certificate can be issued for as it is written."""
    if not isinstance(domains, list) or not domains:
        return ["site_domains is no list of host names: write it as [library.example.org]."]
    findings = []
    for domain in domains:
        text = str(domain)
        if _is_domain(text):
            continue
        guess = _normalised(text)
        if guess:
            advice = f"write {guess}"
        elif _is_address(text):
            advice = "a certificate needs a host name, not an address"
        elif text.startswith("*."):
            advice = "HTTP-01 cannot prove a wildcard, list each host name"
        else:
            advice = "write a full host name such as library.example.org"
        findings.append(f"site_domains has {text!r}, which is no domain: {advice}.")
    doubled = sorted({str(name) for name in domains if domains.count(name) > 1})
    return findings + [f"site_domains lists {name!r} twice: keep one." for name in doubled]


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def app_name_findings(name: Any) -> list[str]:
    """Whether the name can be a unix user, a database and the prefix of a unit at once."""
    text = str(name)
    if not re.fullmatch(r"[a-z][a-z0-9_]*", text) or len(text) > LONGEST_APP_NAME:
        return [
            f"site_app is {text!r}: it names a unix user, a database and units, so write "
            "lower-case letters, digits and _, beginning with a letter, "
            f"at most {LONGEST_APP_NAME} in all."
        ]
    if text in RESERVED_APP_NAMES or text.startswith(RESERVED_BEGINNINGS):
        return [f"site_app is {text!r}, a name that the system uses itself: choose another."]
    return []


def deploy_user_findings(name: Any) -> list[str]:
    """Whether the name can be that of a user who is made for deploys."""
    text = str(name)
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", text):
        return [
            f"site_deploy_user is {text!r}: write lower-case letters, digits, _ and -, beginning "
            "with a letter, at most 32 in all."
        ]
    if text in {*RESERVED_APP_NAMES, "www-data"}:
        return [f"site_deploy_user is {text!r}, a user of the system: choose another name."]
    return []


def addon_findings(addons: Any) -> list[str]:
    """What is no add-on that there is a role for."""
    if not isinstance(addons, list):
        return ["site_addons is no list: write it as [redis]."]
    return [
        f"site_addons has {str(name)!r}, which is none: there is {', '.join(ADDONS)}."
        for name in addons
        if name not in ADDONS
    ]


def config_var_findings(values: Any) -> list[str]:
    """Names that no shell or systemd takes, values that are no text; values are never shown."""
    if not isinstance(values, dict):
        return ["app_config_vars is no mapping: write NAME: value lines under it."]
    findings = []
    for name, value in values.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(name)):
            findings.append(f"app_config_vars has the name {name!r}: use letters, digits and _.")
        elif not isinstance(value, str):
            findings.append(f"app_config_vars.{name} is no text: write its value in quotes.")
        elif "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            findings.append(f"app_config_vars.{name} holds a NUL or invalid UTF-8: remove it.")
    return findings


# Where clouds hand out credentials: no site has business there.
METADATA = (ip_network("169.254.0.0/16"), ip_network("fd00:ec2::254/128"))


def outbound_findings(targets: Any) -> list[str]:
    """What is no address or network that a site may connect to; ``any`` is every one."""
    if not isinstance(targets, list):
        return [
            "app_outbound is no list: write the addresses and networks that the site connects to, "
            "such as [203.0.113.25, 198.51.100.0/24], or [any]."
        ]
    findings = []
    for text in map(str, targets):
        try:
            network = ip_network(text) if text != "any" else None
        except ValueError:
            findings.append(
                f"app_outbound has {text!r}, which is no address or network: look up what the "
                "name stands for, or write any."
            )
            continue
        if network and any(
            network.version == other.version and network.subnet_of(other) for other in METADATA
        ):
            findings.append(f"app_outbound has {text}, the cloud's metadata address: remove it.")
    return findings


def key_findings(keys: Any) -> list[str]:
    """Whether the list holds public SSH keys, one at least."""
    if not isinstance(keys, list) or not keys:
        return ["site_deploy_keys is empty: list the public SSH keys that may deploy."]
    return [
        f"site_deploy_keys has {str(key)[:30]!r}, which is no public key: paste a .pub file."
        for key in keys
        if not PUBLIC_KEY.fullmatch(str(key).strip())
    ]


def group_findings(groups: Mapping[str, Sequence[str]], needed: Sequence[str]) -> list[str]:
    """One sentence for each group of the inventory that a play needs and that has no host."""
    return [
        f"The inventory has no host in the group {name}: list one, as in inventory/local.yml."
        for name in needed
        if not groups.get(name)
    ]


def droplet_findings(
    facts: Mapping[str, Any],
    supported: Mapping[str, Sequence[str]],
    architectures: Sequence[str],
    memory_mb: int,
    disk_mb: int,
    free: int,
) -> list[str]:
    """What the droplet itself lacks: its system, processor, memory and ``free`` disk (both MiB)."""
    findings = []
    system, version = facts["distribution"], facts["distribution_version"]
    # Debian's 13.2 is a 13; Ubuntu's 24.10 is no 24.04.
    release = version if system == "Ubuntu" else version.partition(".")[0]
    if release not in supported.get(system, []):
        known = ", ".join(f"{name} {', '.join(versions)}" for name, versions in supported.items())
        findings.append(f"{system} {version} is not supported: use a droplet with one of {known}.")
    if facts["architecture"] not in architectures:
        findings.append(
            f"The processor is {facts['architecture']}: use one of {', '.join(architectures)}."
        )
    memory = facts["memtotal_mb"]
    if memory < memory_mb * (1 - KERNEL_SHARE):
        findings.append(f"The droplet has {memory} MB of memory: it needs {memory_mb}, resize it.")
    if free < disk_mb:
        findings.append(
            f"The droplet has {free} MB of free disk: it needs {disk_mb}, free some or resize it."
        )
    return findings


def postgres_findings(clusters: Sequence[str], wanted: str) -> list[str]:
    """Whether another major version holds the data than the one that is wanted.

    Args:
        clusters: files of Debian's clusters that are started at boot,
            /etc/postgresql/<version>/main/start.conf.
    """
    return [
        f"PostgreSQL {version} is in use, and the inventory wants {wanted}, which is a cluster "
        "without the data: run invoke db.upgrade, or stay with the one in use by writing "
        f'site_postgres_version: "{version}".'
        for version in (path.split("/")[3] for path in clusters)
        if wanted and version != wanted
    ]


class FilterModule:
    """Filters of this role."""

    def filters(self) -> dict[str, Any]:
        return {
            "addon_findings": addon_findings,
            "app_name_findings": app_name_findings,
            "config_var_findings": config_var_findings,
            "deploy_user_findings": deploy_user_findings,
            "domain_findings": domain_findings,
            "droplet_findings": droplet_findings,
            "group_findings": group_findings,
            "key_findings": key_findings,
            "missing_variables": missing_variables,
            "outbound_findings": outbound_findings,
            "postgres_findings": postgres_findings,
        }
