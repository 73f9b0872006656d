#!/usr/bin/python
"""Compare a host with what a run of the playbook left, in one call."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
import ssl
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: host_state
short_description: Compare a host with what a run of the playbook left, in one call
description:
  - Remembers every file of the folders that a playbook writes to, with its rights, the installed
    packages, the units, the kernel's settings, the firewall's rules and what the processor and
    memory are; and the next time says what differs.
  - It knows no role. Whatever differs counts, whether a role would mend it or not.
options:
  record:
    description: File that keeps what was remembered, below a folder that is made.
    type: path
    required: true
  inputs:
    description: Digest of what the run was told.
    type: str
    required: true
  folders:
    description: What is looked at, with everything below.
    type: list
    elements: path
    default: [/etc, /usr/local]
  roots:
    description: Folders that are looked at with what is right below them, for their rights alone.
    type: list
    elements: path
    default: []
  certificates:
    description: Files whose first certificate is to have a third of its life left.
    type: list
    elements: path
    default: []
  ignored:
    description: Patterns of paths (as in a shell) that change by themselves or with each release.
    type: list
    elements: str
    default: []
  days:
    description: How long it is believed.
    type: int
    default: 7
  remember:
    description: Remember the host as it is, instead of comparing it.
    type: bool
    default: false
attributes:
  check_mode:
    description: Remembers nothing then.
    support: full
author: The Slipway project
"""

EXAMPLES = r"""
- name: Compare the host with what the last run left
  host_state:
    record: /var/lib/slipway/unchanged/site.json
    inputs: "{{ digest }}"
"""

RETURN = r"""
same:
  description: Whether nothing differs.
  type: bool
  returned: always
since:
  description: When it was remembered, ISO 8601 in UTC; empty without a record.
  type: str
  returned: always
differing:
  description: What differs, the first ten.
  type: list
  returned: always
count:
  description: How much was looked at.
  type: int
  returned: always
"""

SHOWN = 10
RIGHTS = "rights of "
# What the processor and memory are, and where names are looked up; roles read these facts.
HOST = {
    "memory": ("/proc/meminfo", r"^MemTotal:.*|^SwapTotal:.*"),
    "processors": ("/proc/cpuinfo", r"^processor\s.*"),
    "name servers": ("/etc/resolv.conf", r"^nameserver .*"),
}
# Lines of a drop-in of sysctl: `-` before a name lets it be missing.
SETTING = re.compile(r"^-?([\w.-]+)\s*=", re.MULTILINE)
# What fail2ban and rate limits put into a set is not the playbook's.
ELEMENTS = re.compile(r"\s*elements = \{[^}]*\}")
# systemd's own states for what runs, is done, or is to be there when asked for.
ROLES_AND_DATABASES = (
    *("runuser", "-u", "postgres", "--", "psql", "-XAtc"),
    "SELECT rolname, rolsuper, rolcreatedb, rolcreaterole FROM pg_roles UNION ALL "
    "SELECT datname, rolsuper, false, false FROM pg_database JOIN pg_roles r ON datdba = r.oid "
    "ORDER BY 1, 2",
)
UNIT_STATES = ("systemctl", "list-unit-files", "--state=enabled,masked", "--plain", "--no-legend")


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def said(*argv: str) -> str:
    """Standard output of a program, "" when there is none."""
    try:
        return subprocess.run(argv, capture_output=True, text=True).stdout
    except FileNotFoundError:
        return ""


def files(folders: list[str], ignored: list[str]) -> Iterator[tuple[str, str]]:
    """Every path below the folders, with its rights and the digest of what is in it."""
    for folder in folders:
        for parent, names, leaves in os.walk(folder):
            here = [f"{parent}/{name}" for name in sorted(names + leaves)]
            kept = [path for path in here if not any(fnmatch.fnmatch(path, p) for p in ignored)]
            names[:] = [name for name in names if f"{parent}/{name}" in kept]
            for path in kept:
                yield path, _file(path)


def _file(path: str) -> str:
    seen = os.lstat(path)
    rights = f"{seen.st_mode:o} {seen.st_uid} {seen.st_gid}"
    if stat.S_ISLNK(seen.st_mode):
        return f"{rights} {Path(path).readlink()}"
    if stat.S_ISREG(seen.st_mode):
        return f"{rights} {digest(Path(path).read_bytes())}"
    return rights


def rights(roots: list[str]) -> Iterator[tuple[str, str]]:
    """The roots and the folders right below them, with whom they belong to."""
    for root in map(Path, roots):
        for path in [root, *sorted(root.glob("*/"))]:
            if path.is_dir() and not path.is_symlink():
                seen = path.stat()
                yield f"{RIGHTS}{path}", f"{seen.st_mode:o} {seen.st_uid} {seen.st_gid}"


def life(certificate: str) -> str:
    """Whether a third of a certificate's life is left, so that nobody has to renew it."""
    told = said("openssl", "x509", "-in", certificate, "-noout", "-dates")
    dates = [ssl.cert_time_to_seconds(date) for date in re.findall(r"=(.*GMT)", told)]
    if len(dates) != 2:
        return "none"
    begin, end = dates
    return "good" if end - time.time() > (end - begin) / 3 else "due"


def state(given: dict[str, Any]) -> dict[str, str]:
    """What is looked at: name -> how it is."""
    found = dict(files(given["folders"], given["ignored"]))
    found.update(rights(given["roots"]))
    found.update((f"certificate {path}", life(path)) for path in given["certificates"])
    for name, (source, lines) in HOST.items():
        text = Path(source).read_text()
        found[name] = digest("\n".join(re.findall(lines, text, re.MULTILINE)).encode())
    found["kernel"] = os.uname().release
    found["packages"] = digest(Path("/var/lib/dpkg/status").read_bytes())
    rules = ELEMENTS.sub("", said("nft", "--stateless", "list", "ruleset"))
    found["firewall"] = digest(rules.encode())
    units = [line.split()[0] for line in said(*UNIT_STATES).splitlines() if "@." not in line]
    active = said("systemctl", "is-active", *units).split()
    found |= {f"unit {unit}": how for unit, how in zip(units, active, strict=False)}
    found["database"] = digest(said(*ROLES_AND_DATABASES).encode())
    for drop_in in Path("/etc/sysctl.d").glob("*.conf"):
        for name in SETTING.findall(drop_in.read_text()):
            value = Path("/proc/sys") / name.replace(".", "/")
            found[f"setting {name}"] = value.read_text().strip() if value.is_file() else ""
    return found


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "record": {"type": "path", "required": True},
            "inputs": {"type": "str", "required": True},
            "folders": {"type": "list", "elements": "path", "default": ["/etc", "/usr/local"]},
            "roots": {"type": "list", "elements": "path", "default": []},
            "certificates": {"type": "list", "elements": "path", "default": []},
            "ignored": {"type": "list", "elements": "str", "default": []},
            "days": {"type": "int", "default": 7},
            "remember": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    given = module.params
    record = Path(given["record"])
    if given["remember"]:
        if not module.check_mode:
            remember(record, given["inputs"], state(given))
        module.exit_json(changed=False)
    try:
        kept = json.loads(record.read_text())
    except (OSError, ValueError):
        module.exit_json(same=False, since="", differing=[], count=0)
    differing = []
    if kept["inputs"] != given["inputs"]:
        differing.append("what the playbook is told")
    if not 0 <= time.time() - kept["at"] < given["days"] * 86400:
        differing.append(f"the last whole run is more than {given['days']} days ago")
    now, before = state(given), kept["state"]
    # Folders that releases make beside those of the playbook are none of its business.
    names = sorted(before.keys() | {name for name in now if not name.startswith(RIGHTS)})
    differing += [name for name in names if now.get(name) != before.get(name)]
    module.exit_json(
        same=not differing,
        since=datetime.fromtimestamp(kept["at"], UTC).isoformat(timespec="seconds"),
        differing=differing[:SHOWN],
        count=len(names),
    )


def remember(record: Path, inputs: str, found: dict[str, str]) -> None:
    """Write the record, whole or not at all."""
    record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=record.parent, delete=False) as draft:
        json.dump({"at": time.time(), "inputs": inputs, "state": found}, draft)
    Path(draft.name).replace(record)


if __name__ == "__main__":
    main()
