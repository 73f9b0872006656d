"""What the release tool asks of the helper that is root's."""

import os
from pathlib import Path

import pytest

from deploy.host.errors import NeedsYou
from deploy.host.units import Units
from tests.unit.test_health import SITE

# In the helper's place: sudo -n HELPER VERB ...
SUDO = """#!/bin/sh
shift 2
echo "$@" >>{log}
case $1 in {cases} esac
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the helper was asked."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "log"


def units(log: Path, cases: str = "") -> Units:
    sudo = log.with_name("sudo")
    sudo.write_text(SUDO.format(log=log, cases=cases))
    sudo.chmod(0o755)
    return Units(SITE)


def test_an_instance_is_listed_with_its_state(log: Path) -> None:
    asked = units(log, 'list) printf "a active\\nb deactivating\\n" ;;')
    assert asked.loaded() == {"a": "active", "b": "deactivating"}


def test_retiring_is_asked_for_once(log: Path) -> None:
    units(log).retire("a")
    assert log.read_text().splitlines() == ["retire a"]


def test_a_helper_that_does_not_know_how_to_retire_stops(log: Path) -> None:
    units(log, "retire) exit 64 ;;").retire("a")
    assert log.read_text().splitlines() == ["retire a", "stop a"]


def test_what_systemd_refuses_is_told(log: Path) -> None:
    with pytest.raises(NeedsYou) as told:
        units(log, "*) echo no such bus >&2; exit 1 ;;").retire("a")
    assert list(told.value.detail) == ["no such bus"]
