"""What a baseline is: controls that are asked of the host with testinfra.

A control is a function that yields what is wrong, a sentence each. Its id and title are those of
the baseline; docs/waivers.yml names the id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from audits.model import Audit, Check, Report
from audits.subject import Subject

Question = Callable[[Subject], Iterable[str]]


@dataclass(frozen=True)
class Control:
    """One control of a baseline."""

    id: str
    title: str
    ask: Question

    def check(self, subject: Subject) -> Check:
        problems = list(self.ask(subject))
        return Check(self.id, self.title, "; ".join(problems) or None)


@dataclass(frozen=True)
class Baseline:
    """A baseline's controls, in its own order. ``name`` is what waivers call it."""

    name: str
    reference: str
    controls: list[Control] = field(default_factory=list)

    def control(self, id: str, title: str) -> Callable[[Question], Question]:
        """Add the decorated function as a control."""

        def add(question: Question) -> Question:
            self.controls.append(Control(id, title, question))
            return question

        return add

    def run(self, subject: Subject) -> Report:
        checks = tuple(control.check(subject) for control in self.controls)
        passed = sum(1 for check in checks if not check.problem)
        return Report(f"{passed} of {len(checks)} controls", checks)

    @property
    def audit(self) -> Audit:
        return Audit(self.name, self.reference, "every control, or waived", self.run)
