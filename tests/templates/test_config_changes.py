"""`<app>-unit config-changes` names the config vars that differ, and shows no value of any."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.templates.render import render
from tests.templates.role_files import load
from tests.templates.test_config_version import NAMES, VALUES

config_version = load("app/library/config_version.py")
OLD, NEW = "a" * 12, "b" * 12
# Lines of a value that look like config vars of their own, and a quotation mark that ends nothing.
KEY = 'x"\n-----BEGIN KEY-----\nSECRETPART=\nFAKE="canary"\n\\"END=1\n'


@pytest.fixture(scope="module")
def helper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script, with its folder of config vars in the test's own."""
    folder = tmp_path_factory.mktemp("helper")
    text = render("app", "unit.j2")
    assert "\nconfig=/etc/$app/config\n" in text
    script = folder / "unit"
    script.write_text(text.replace("config=/etc/$app/config", f"config={folder}"))
    return script


def ask(helper: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ("sh", helper, "config-changes", *words), capture_output=True, text=True, check=False
    )


def written(helper: Path, old: dict[str, str], new: dict[str, str]) -> list[str]:
    for version, values in ((OLD, old), (NEW, new)):
        text = config_version.render(values)
        (helper.parent / f"{version}.env").write_text(text, newline="")
    done = ask(helper, OLD, NEW)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_names_and_kinds_are_told(helper: Path) -> None:
    old = {"A": "1", "B": "2", "C": "3"}
    assert written(helper, old, {"A": "1", "B": "x", "D": "4"}) == [
        "changed B",
        "removed C",
        "added D",
    ]
    assert written(helper, old, old) == []


def test_a_value_with_lines_like_config_vars_stays_a_value(helper: Path) -> None:
    assert written(helper, {"TLS_KEY": "x", "Z": "1"}, {"TLS_KEY": KEY, "Z": "1"}) == [
        "changed TLS_KEY"
    ]
    assert written(helper, {"TLS_KEY": KEY}, {"TLS_KEY": KEY.replace("canary", "other")}) == [
        "changed TLS_KEY"
    ]


# Each starts a Python.
@settings(max_examples=20)
@given(old=st.dictionaries(NAMES, VALUES, max_size=4), new=st.dictionaries(NAMES, VALUES))
def test_any_values_are_compared_and_none_is_printed(
    helper: Path, old: dict[str, str], new: dict[str, str]
) -> None:
    assert written(helper, old, new) == [
        f"{'added' if name not in old else 'removed' if name not in new else 'changed'} {name}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]


@pytest.mark.parametrize(
    "text", ["A=1\n", 'A="1', 'export A="canary"\n', 'canary\nA="1"\n', "\xff"]
)
def test_a_file_that_the_playbook_did_not_write_is_not_told_of(helper: Path, text: str) -> None:
    written(helper, {"A": "1"}, {})
    (helper.parent / f"{NEW}.env").write_text(text)
    done = ask(helper, OLD, NEW)
    assert (done.returncode, done.stdout) == (1, "")
    assert "canary" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        (OLD,),
        (OLD, "c" * 12),
        (OLD, "../unit"),
        (OLD, "/etc/passwd.."),
        (OLD, f"{NEW}\n"),
        (OLD, ""),
        (OLD, "current"),
        (OLD, NEW, NEW),
        ("-", NEW),
    ],
)
def test_what_is_no_version_is_refused(helper: Path, words: tuple[str, ...]) -> None:
    written(helper, {"A": "1"}, {})
    done = ask(helper, *words)
    assert (done.returncode, done.stdout) == (64, "")
