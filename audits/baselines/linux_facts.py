"""What the Linux baseline wants to know of a host, read by one command."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from audits.subject import Subject

CRON = ["/etc/crontab", *(f"/etc/cron.{name}" for name in ("d", "hourly", "daily", "weekly"))]
CRON.append("/etc/cron.monthly")
FILES = ["/etc/hosts.equiv", "/etc/shadow", "/etc/passwd", "/etc/login.defs", "/var/log", *CRON]

# Each part prints lines; a line of its own with the name of the part comes before them.
PARTS = {
    "virtualization": "systemd-detect-virt --container || true",
    "sysctls": "sysctl -a 2>/dev/null",
    "configured": "cat /etc/sysctl.d/*.conf",
    "modules": "cat /etc/modprobe.d/*.conf",
    "mounts": "cat /proc/self/mounts",
    "files": f"stat -L -c '%n %U %G %a %F' {shlex.join(FILES)} 2>/dev/null || true",
    "passwd": "cat /etc/passwd",
    "group": "cat /etc/group",
    "login": "cat /etc/login.defs",
    "path": 'echo "$PATH"',
    "suid": r"find / -xdev \( -perm -2000 -o -perm -4000 \) -type f",
    "rhosts": r"find / -xdev -maxdepth 3 \( -iname .rhosts -o -iname .netrc \)",
    "packages": "dpkg-query -W -f '${db:Status-Abbrev} ${Package}\\n'",
    "cpu": "grep -m 1 '^flags' /proc/cpuinfo || true",
    "holes": "grep -r . /sys/devices/system/cpu/vulnerabilities 2>/dev/null || true",
    "uefi": "test ! -d /sys/firmware/efi || echo yes",
    "auditd": "cat /etc/audit/auditd.conf 2>/dev/null || true",
}
MARK = "-- slipway "


@dataclass(frozen=True)
class File:
    """What stat(1) says of a file."""

    owner: str
    group: str
    mode: int
    kind: str


@dataclass(frozen=True)
class Facts:
    """The lines that each of PARTS printed."""

    parts: Mapping[str, list[str]]

    def __getitem__(self, part: str) -> list[str]:
        return self.parts[part]

    @property
    def container(self) -> bool:
        return self["virtualization"] not in ([], ["none"])

    @property
    def files(self) -> dict[str, File]:
        rows = [line.split(" ", 4) for line in self["files"]]
        return {row[0]: File(row[1], row[2], int(row[3], 8), row[4]) for row in rows}

    @property
    def installed(self) -> set[str]:
        return {line.split()[1] for line in self["packages"] if line.startswith("ii")}

    def settings(self, part: str) -> dict[str, str]:
        """Names and values of `name = value` or `name value` lines; the last one counts."""
        found = {}
        for line in self[part]:
            match = re.match(r"\s*([\w.-]+)\s*(?:=|\s)\s*(.*)", line)
            if match:
                found[match[1]] = match[2].strip()
        return found

    @property
    def mounts(self) -> dict[str, set[str]]:
        rows = [line.split() for line in self["mounts"]]
        return {row[1]: set(row[3].split(",")) for row in rows}

    @cached_property
    def sysctls(self) -> dict[str, str]:
        """What the kernel says; in a container, what is written for the part it shares."""
        live = self.settings("sysctls")
        if not self.container:
            return live
        written = self.settings("configured")
        own = {name: value for name, value in live.items() if name.startswith("net.")}
        return {**live, **{name: written[name] for name in written if name not in own}}


@lru_cache(maxsize=4)
def facts(subject: Subject) -> Facts:
    """All that the controls want to know, in one round trip."""
    said = subject.ask("; ".join(f"echo '{MARK}{part}'; {ask}" for part, ask in PARTS.items()))
    parts: dict[str, list[str]] = {}
    for line in said.splitlines():
        if line.startswith(MARK):
            parts[line.removeprefix(MARK)] = []
        else:
            parts[list(parts)[-1]].append(line)
    return Facts(parts)
