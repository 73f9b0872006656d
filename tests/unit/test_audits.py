"""Findings and waivers: what is met, what is waived, and what is neither."""

from pathlib import Path

import pytest

from audits import waivers
from audits.errors import AuditError
from audits.model import Audit, Check, Report, Waiver, idle, judge
from audits.registry import AUDITS

ROOT = Path(__file__).parents[2]
AUDIT = Audit("moon", "The Moon", "no cheese", lambda subject: Report(""))
FINE, BAD, KNOWN = Check("m-1", "rock"), Check("m-2", "air", "none"), Check("m-3", "water", "ice")
WAIVER = Waiver("moon", "m-3", "it melts")


def test_a_problem_fails_unless_it_is_waived() -> None:
    verdict = judge(AUDIT, Report("", (FINE, BAD, KNOWN)), [WAIVER])
    assert verdict.failed == (BAD,)
    assert verdict.waived == ((KNOWN, WAIVER),)
    assert not verdict.passed
    assert judge(AUDIT, Report("", (FINE, KNOWN)), [WAIVER]).passed


def test_a_waiver_of_another_reference_does_not_count() -> None:
    other = Waiver("mars", "m-2", "thin")
    assert judge(AUDIT, Report("", (BAD,)), [other]).failed == (BAD,)


def test_waivers_that_nothing_needs_are_named_where_their_reference_was_asked() -> None:
    met = judge(AUDIT, Report("", (FINE,)), [WAIVER])
    other = Waiver("mars", "m-2", "thin")
    assert idle([WAIVER, other], [met]) == [WAIVER]
    needed = judge(AUDIT, Report("", (KNOWN,)), [WAIVER])
    assert idle([WAIVER], [met, needed]) == []
    skipped = judge(AUDIT, Report("", skipped="no rocket"), [WAIVER])
    assert idle([WAIVER], [skipped]) == []


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("- {reference: moon, control: m-3}", "Waiver 1 .* has no reason"),
        ("- {control: m-3, reason: ' '}", "has no reference, reason"),
        ("- &a {reference: moon, control: m-3, reason: it melts}\n- *a", "moon m-3 .* twice"),
    ],
)
def test_a_waiver_says_all_three_once(tmp_path: Path, entry: str, said: str) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / waivers.PAGE).write_text(entry)
    with pytest.raises(AuditError, match=said):
        waivers.read(tmp_path)


def test_the_waivers_of_this_repository_are_of_audits_that_exist() -> None:
    assert {waiver.reference for waiver in waivers.read(ROOT)} <= {audit.name for audit in AUDITS}
