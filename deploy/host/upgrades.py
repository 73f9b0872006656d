"""Packages of the droplet that a newer one is there for."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# apt-get(8): Inst NAME [FROM] (TO ARCHIVE:SUITE/SUITE, ... [ARCH])
INSTALL = re.compile(r"^Inst (?P<name>\S+) (?:\[(?P<old>\S+)\] )?\((?P<new>\S+) (?P<origin>.*)\)")
SECURITY = re.compile(r"-security\b", re.IGNORECASE)
REBOOT = Path("/run/reboot-required")


@dataclass(frozen=True)
class Upgrade:
    """A package that a newer one is there for; ``old`` is "" for one that would be new."""

    name: str
    old: str
    new: str
    security: bool

    def __str__(self) -> str:
        return f"{self.name} {self.old or 'not installed'} -> {self.new}"


def read(lines: Iterable[str]) -> tuple[Upgrade, ...]:
    """What `apt-get --simulate dist-upgrade` would install."""
    return tuple(
        Upgrade(m["name"], m["old"] or "", m["new"], bool(SECURITY.search(m["origin"])))
        for m in map(INSTALL.match, lines)
        if m
    )


def pending() -> tuple[Upgrade, ...]:
    """What this droplet lacks, as far as its package lists know. Changes nothing."""
    argv = ("apt-get", "--simulate", "--quiet", "dist-upgrade")
    asked = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    return read(subprocess.run(argv, capture_output=True, text=True, env=asked).stdout.splitlines())
