"""What the doctor says: findings, and what they ask for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Where the cure is, if there is need of one."""

    FINE = "fine"
    # Worth knowing; the site is served as it is.
    ADVICE = "advice"
    CONFIG_VAR = "config var"
    INVENTORY = "inventory"
    PROJECT = "project"
    DROPLET = "droplet"
    SKIPPED = "not looked at"


CONTENT = {Verdict.FINE, Verdict.ADVICE, Verdict.SKIPPED}


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, where the cure is, what was found, and the next command.

    ``sets`` is the config var that cures it, name and value, where the doctor has seen it do so.
    """

    subject: str
    verdict: Verdict
    told: str
    command: str = ""
    sets: tuple[str, str] | None = None

    @property
    def hinders(self) -> bool:
        return self.verdict not in CONTENT


def fine(subject: str, told: str) -> Finding:
    return Finding(subject, Verdict.FINE, told)


def counted(findings: Iterable[Finding]) -> dict[str, int]:
    """How many of each verdict, in the order of Verdict; those that came up."""
    listed = [finding.verdict for finding in findings]
    return {verdict.value: listed.count(verdict) for verdict in Verdict if verdict in listed}
