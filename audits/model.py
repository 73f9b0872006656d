"""What an audit is, what it finds, and what is waived of that."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from audits.subject import Subject


@dataclass(frozen=True)
class Check:
    """One control of a reference, and what is wrong with the host by it (None: nothing)."""

    control: str
    title: str
    problem: str | None = None


@dataclass(frozen=True)
class Report:
    """What an audit found: its figure, in the reference's own unit, and every control it looked at.

    ``skipped`` says why the reference could not be asked here.
    """

    figure: str
    checks: tuple[Check, ...] = ()
    skipped: str | None = None


@dataclass(frozen=True)
class Audit:
    """A reference and its bar. ``slow`` ones take more than half a minute.

    ``needs`` is a program on the controller without which it is skipped, "" for none.
    ``run`` raises AuditError when the host or a tool does not answer.
    """

    name: str
    reference: str
    bar: str
    run: Callable[[Subject], Report]
    slow: bool = False
    needs: str = ""

    def ask(self, subject: Subject) -> Report:
        """What it finds; skipped with a sentence where its program is missing."""
        if self.needs and not shutil.which(self.needs):
            missing = f"{self.needs} is not installed here; on Debian: bin/test installs it"
            return Report("not asked", skipped=missing)
        return self.run(subject)


@dataclass(frozen=True)
class Waiver:
    """A control that the host does not pass, and why that is right."""

    reference: str
    control: str
    reason: str


@dataclass(frozen=True)
class Verdict:
    """A report held against the waivers. ``failed`` are problems that nobody waived."""

    audit: Audit
    report: Report
    failed: tuple[Check, ...]
    waived: tuple[tuple[Check, Waiver], ...]

    @property
    def passed(self) -> bool:
        return not self.failed


def judge(audit: Audit, report: Report, waivers: Iterable[Waiver]) -> Verdict:
    """Tell what is waived from what is not."""
    known = {waiver.control: waiver for waiver in waivers if waiver.reference == audit.name}
    problems = [check for check in report.checks if check.problem]
    return Verdict(
        audit,
        report,
        failed=tuple(check for check in problems if check.control not in known),
        waived=tuple((check, known[check.control]) for check in problems if check.control in known),
    )


def idle(waivers: Iterable[Waiver], verdicts: Sequence[Verdict]) -> list[Waiver]:
    """Waivers that none of these verdicts needed, of the references that were asked."""
    asked = {verdict.audit.name for verdict in verdicts if not verdict.report.skipped}
    used = {waiver for verdict in verdicts for _, waiver in verdict.waived}
    return [waiver for waiver in waivers if waiver.reference in asked and waiver not in used]
