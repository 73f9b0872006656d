"""What Lynis and OpenSCAP print, read; and what their bars say of waivers."""

from pathlib import Path

import pytest

from audits import lynis, openscap, waivers

ROOT = Path(__file__).parents[2]

EVAL = """\
Title\tInstall pam_pwquality Package
Rule\txccdf_org.ssgproject.content_rule_package_pam_pwquality_installed
Ident\tCCE-1
Result\tpass

Title\tAdd noexec Option to /tmp
Rule\txccdf_org.ssgproject.content_rule_mount_option_tmp_noexec
Result\tfail

Title\tInstall AIDE
Rule\txccdf_org.ssgproject.content_rule_package_aide_installed
Result\tnotapplicable

"""


@pytest.mark.parametrize(("index", "failed"), [(84, ["hardening_index"]), (85, [])])
def test_lynis_is_held_to_its_index(index: int, failed: list[str]) -> None:
    report = lynis.read(f"lynis_version=3.1.4\nhardening_index={index}\n")
    assert [check.control for check in report.checks if check.problem] == failed
    assert report.figure == f"index {index}, 0 warnings"


def test_each_warning_of_lynis_is_a_check() -> None:
    report = lynis.read("warning[]=FIRE-4512|No rules|iptables|-|\nhardening_index=90\n")
    index, warning = report.checks
    assert not index.problem
    assert (warning.control, warning.title, warning.problem) == (
        "FIRE-4512",
        "No rules",
        "iptables",
    )


def test_a_report_without_an_index_is_no_pass() -> None:
    assert lynis.read("").checks[0].problem


def test_rules_that_do_not_apply_are_not_judged() -> None:
    found = openscap.read(EVAL)
    assert {rule: bool(check.problem) for rule, check in found.items()} == {
        "package_pam_pwquality_installed": False,
        "mount_option_tmp_noexec": True,
    }
    lower = openscap.read(EVAL, "minimal/")
    assert lower["mount_option_tmp_noexec"].control == "minimal/mount_option_tmp_noexec"


def test_no_more_is_waived_than_the_bar_allows() -> None:
    waived = [waiver.control for waiver in waivers.read(ROOT) if waiver.reference == "openscap"]
    assert len(waived) <= openscap.WAIVED
    assert not [control for control in waived if control.startswith("minimal/")]
