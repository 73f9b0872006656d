"""`<app>-unit forget` leaves secrets for no release that is not there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.templates.render import render

GONE, KEPT, CUT_OFF = (f"20260101T00000{number}-abcdef0" for number in range(3))
OLD, NEW = "a" * 12, "b" * 12


@pytest.fixture
def helper(tmp_path: Path) -> Path:
    """The script, with folders in the test's own: three releases' config vars, one release."""
    text = render("app", "unit.j2")
    for line, place in (
        ("config=/etc/$app/config", "config"),
        ("bindings=/etc/$app/releases", "bindings"),
        ("root=/srv/locallibrary", "root"),
    ):
        assert f"\n{line}\n" in text
        text = text.replace(f"\n{line}\n", f"\n{place}={tmp_path / place}\n")
        (tmp_path / place).mkdir()
    for version in (OLD, NEW):
        (tmp_path / "config" / f"{version}.env").touch()
    (tmp_path / "config/current").symlink_to(f"{NEW}.env")
    for release, version in ((GONE, OLD), (KEPT, NEW), (CUT_OFF, OLD)):
        (tmp_path / "bindings" / f"{release}.env").symlink_to(f"../config/{version}.env")
    (tmp_path / "root/releases" / KEPT).mkdir(parents=True)
    (tmp_path / "root/current").symlink_to(f"releases/{KEPT}")
    script = tmp_path / "unit"
    script.write_text(text)
    return script


def forget(helper: Path, release: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ("sh", helper, "forget", release), capture_output=True, text=True, check=False
    )


def orders(helper: Path, *lines: str) -> subprocess.CompletedProcess[str]:
    """The helper told so on its input; systemd is a program that writes down what it is asked."""
    systemctl = helper.parent / "bin/systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text(f'#!/bin/sh\necho "$@" >>{helper.parent}/systemd\n')
    systemctl.chmod(0o755)
    text = helper.read_text()
    usual = "PATH=/usr/sbin:"
    assert usual in text
    helper.write_text(text.replace(usual, f"PATH={systemctl.parent}:/usr/sbin:"))
    given = "".join(f"{line}\n" for line in lines)
    return subprocess.run(
        ("sh", helper, "orders"), input=given, capture_output=True, text=True, check=False
    )


def left(helper: Path) -> list[str]:
    folder = helper.parent
    return sorted(
        path.name for name in ("bindings", "config") for path in (folder / name).iterdir()
    )


def test_what_a_run_that_was_cut_off_left_is_forgotten_too(helper: Path) -> None:
    assert forget(helper, GONE).returncode == 0
    assert left(helper) == sorted((f"{KEPT}.env", f"{NEW}.env", "current"))


def test_the_current_release_stays_bound(helper: Path) -> None:
    before = left(helper)
    done = forget(helper, KEPT)
    assert done.returncode == 64
    assert "is the current release" in done.stderr
    assert left(helper) == before


@pytest.mark.parametrize("name", ["", "../x", f"{GONE}\n{KEPT}", GONE[:-5], f"{GONE}g"])
def test_only_an_id_is_forgotten(helper: Path, name: str) -> None:
    before = left(helper)
    assert forget(helper, name).returncode == 64
    assert left(helper) == before


def test_orders_are_carried_out_side_by_side(helper: Path) -> None:
    done = orders(helper, f"retire {KEPT}", f"forget {GONE}")
    assert done.returncode == 0, done.stderr
    assert left(helper) == sorted((f"{KEPT}.env", f"{NEW}.env", "current"))
    units = f"locallibrary-web@{KEPT}.socket locallibrary-web@{KEPT}.service"
    told = (helper.parent / "systemd").read_text().splitlines()
    assert sorted(told) == [f"reset-failed {units}", f"stop --no-block {units}"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (f"forget {KEPT}", "is the current release"),
        ("stop nginx", "is no order"),
        (f"forget {GONE} {KEPT}", "is no release id"),
        ("retire ../x", "is no release id"),
    ],
)
def test_an_order_that_is_refused_is_told(helper: Path, line: str, why: str) -> None:
    before = left(helper)
    done = orders(helper, line)
    assert done.returncode == 64
    assert why in done.stderr
    assert left(helper) == before
