"""Findings and waivers: what is met, what is waived, and what is neither."""

import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from audits import programs, tls, waivers
from audits.errors import AuditError
from audits.model import Audit, Check, Report, Waiver, idle, judge
from audits.registry import AUDITS
from audits.subject import Subject

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


def test_an_audit_without_its_program_is_skipped_with_a_sentence() -> None:
    subject = cast(Subject, None)
    report = replace(AUDIT, needs="no-such-program").ask(subject)
    assert report.skipped is not None
    assert report.skipped.startswith("no-such-program is not installed here")
    assert replace(AUDIT, needs="sh").ask(subject).skipped is None


def test_a_tool_is_made_again_when_it_broke_off_or_its_lock_changed(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text("gixy==1")
    made: list[str] = []

    def make(folder: Path) -> None:
        folder.mkdir()
        made.append(folder.name)

    def broken(folder: Path) -> None:
        folder.mkdir()
        raise AuditError("no network")

    with pytest.raises(AuditError):
        programs._made(tmp_path, "gixy", lock, broken)
    first = programs._made(tmp_path, "gixy", lock, make)
    assert programs._made(tmp_path, "gixy", lock, make) == first
    assert len(made) == 1
    lock.write_text("gixy==2")
    second = programs._made(tmp_path, "gixy", lock, make)
    assert second != first
    assert not first.exists()


SSLYZE = """\
 COMPLIANCE AGAINST TLS CONFIGURATION
    library.example.org:443: FAILED - Not compliant.
        * ciphers: Cipher suites {'TLS_RSA_WITH_AES_128_CBC_SHA'} should be rejected.
        * tls_versions: TLS versions {'TLSv1.1'} are supported, but should be rejected.
"""


@pytest.mark.parametrize(
    ("said", "figure", "controls"),
    [
        (SSLYZE, "2 not compliant", ["ciphers", "tls_versions"]),
        (SSLYZE.partition("FAILED")[0] + "OK - Compliant.", "compliant", []),
    ],
)
def test_what_sslyze_says(
    monkeypatch: pytest.MonkeyPatch, said: str, figure: str, controls: list[str]
) -> None:
    report = tls_of(monkeypatch, said)
    assert report.figure == figure
    assert [check.control for check in report.checks if check.problem] == controls


def test_sslyze_without_an_answer_is_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AuditError, match="got no answer from library.example.org"):
        tls_of(monkeypatch, "Could not connect")


def tls_of(monkeypatch: pytest.MonkeyPatch, said: str) -> Report:
    """What the audit makes of the output of sslyze."""
    done = subprocess.CompletedProcess((), 0, said, "")
    monkeypatch.setattr(programs, "python_tool", lambda root, name: Path(name))
    monkeypatch.setattr(programs, "run", lambda *_: done)
    target = SimpleNamespace(
        domain="library.example.org",
        host="192.0.2.7",
        tls_profile="intermediate",
        root_certificate="",
    )
    return tls.run(cast(Subject, SimpleNamespace(target=target, root=ROOT)))
