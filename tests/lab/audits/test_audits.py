"""Every audit's bar is met on both Debians, or what is not met is waived with a reason."""

import shutil

import pytest

from audits import waivers
from audits.baselines import BASELINES, Control
from audits.model import Audit
from audits.registry import AUDITS
from audits.subject import Subject
from tests.lab.audits.conftest import verdict
from tests.lab.site import ROOT

CONTROLS = [
    pytest.param(baseline.name, control, id=f"{baseline.name}-{control.id}")
    for baseline in BASELINES
    for control in baseline.controls
]
# Their bars are met when somebody sees to it, and test_upkeep.py does.
UPKEEP = {"packages", "updates", "drift"}


def marks(audit: Audit) -> list[pytest.MarkDecorator]:
    missing = bool(audit.needs) and not shutil.which(audit.needs)
    absent = pytest.mark.skipif(missing, reason=f"{audit.needs} is not installed here")
    return [absent, *([pytest.mark.slow] if audit.slow else [])]


WHOLE = [
    pytest.param(audit, id=audit.name, marks=marks(audit))
    for audit in AUDITS
    if audit.name not in UPKEEP | {baseline.name for baseline in BASELINES}
]


@pytest.mark.parametrize("audit", WHOLE)
def test_the_bar_is_met(subject: Subject, audit: Audit) -> None:
    print(verdict(audit, subject).report.figure)


@pytest.mark.parametrize(("baseline", "control"), CONTROLS)
def test_the_control_is_met_or_waived(subject: Subject, baseline: str, control: Control) -> None:
    problem = control.check(subject).problem
    waived = {(waiver.reference, waiver.control) for waiver in waivers.read(ROOT)}
    if problem:
        assert (baseline, control.id) in waived, problem
