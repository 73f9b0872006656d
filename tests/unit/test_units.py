"""What the release tool asks of systemd, and of the helper that is root's."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.host.errors import NeedsYou
from deploy.host.units import Units, UnitState
from tests.unit.test_health import SITE

# In the helper's place: sudo -n HELPER VERB ...
SUDO = """#!/bin/sh
shift 2
echo "$@" >>{log}
case $1 in {cases} esac
"""
SYSTEMCTL = """#!/bin/sh
case $1 in {cases} esac
"""
LISTED = """\
mysite-web@a.service loaded active       running   Release a of mysite
mysite-web@a.socket  loaded active       running   Socket of release a of mysite
mysite-web@b.service loaded deactivating stop      Release b of mysite
mysite-web@c.service loaded inactive     dead      Release c of mysite
mysite-web@c.socket  loaded active       listening Socket of release c of mysite
mysite-web@d.service loaded failed       failed    Release d of mysite
mysite-web@e.socket  loaded inactive     dead      Socket of release e of mysite
"""
SHOWN = "Result=success\\nNRestarts=2\\nMainPID=41\\nActiveState=active\\nSubState=running\\n"


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the helper was asked."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "log"


def units(log: Path, cases: str = "", systemd: str = "*) exit 1 ;;") -> Units:
    log.touch()
    said = {"sudo": SUDO.format(log=log, cases=cases), "systemctl": SYSTEMCTL.format(cases=systemd)}
    for name, script in said.items():
        log.with_name(name).write_text(script)
        log.with_name(name).chmod(0o755)
    return Units(SITE)


def test_an_instance_is_listed_with_its_state(log: Path) -> None:
    asked = units(log, systemd=f"list-units) cat <<'END'\n{LISTED}END\n;;")
    states = {"a": "active", "b": "deactivating", "c": "listening", "d": "failed"}
    assert asked.loaded() == states


def test_anybody_may_look_at_an_instance(log: Path) -> None:
    asked = units(log, systemd=f'show) printf "{SHOWN}" ;;')
    assert asked.state("a") == UnitState("active", "running", 2, 41, "success")
    assert asked.state("a").running
    assert log.read_text() == ""


def test_a_systemd_that_does_not_answer_is_told_of(log: Path) -> None:
    asked = units(log, systemd="*) echo no such bus >&2; exit 1 ;;")
    for look in (asked.loaded, lambda: asked.state("a")):
        with pytest.raises(NeedsYou) as told:
            look()
        assert list(told.value.detail) == ["no such bus"]


@pytest.mark.parametrize(
    ("states", "verbs"),
    [("active active", []), ("active activating", ["start a"]), ("inactive active", ["start a"])],
)
def test_what_runs_is_not_started_again(log: Path, states: str, verbs: list[str]) -> None:
    asked = units(log, systemd=f"is-active) printf '%s\\n' {states} ;;")
    assert asked.start("a", 5) is None
    assert log.read_text().splitlines() == verbs


def test_a_start_that_was_begun_is_waited_for(log: Path) -> None:
    asked = units(log, "start) sleep 0.2; echo no such file >&2; exit 1 ;;")
    asked.begin("a")
    assert asked.start("a", 5) == "no such file"
    assert log.read_text().splitlines() == ["start a"]
    # It is another one the next time.
    asked.start("a", 5)
    assert log.read_text().splitlines() == ["start a"] * 2


@pytest.mark.parametrize(
    "does", ["sleep 5", "echo 'Job for a failed because a timeout was exceeded.' >&2; exit 1"]
)
def test_one_that_is_not_ready_in_time_is_told_alike_whoever_sees_it(log: Path, does: str) -> None:
    asked = units(log, f"start) {does} ;;")
    asked.begin("a")
    assert asked.start("a", 1) == "it was not ready within 1 s"


def test_a_start_that_was_begun_is_stopped_whenever_systemd_hears_of_it(log: Path) -> None:
    asked = units(log, f"start) sleep 0.2; echo started >>{log} ;;")
    asked.begin("a")
    asked.stop("a")
    assert log.read_text().splitlines()[-2:] == ["started", "stop a"]
    assert asked.start("a", 5) is None


ORDERS = (
    "orders) while read -r order; do echo $order >>{log}; done; sleep 0.2; echo done >>{log} ;;"
)


def test_what_leaves_is_asked_for_at_once_and_waited_for_when_it_has_to_be(log: Path) -> None:
    asked = units(log, ORDERS.format(log=log))
    asked.prepare()
    asked.retire("a")
    asked.forget("b")
    assert "done" not in log.read_text()
    asked.settle()
    assert log.read_text().splitlines() == ["orders", "retire a", "forget b", "done"]
    asked.settle()
    assert len(log.read_text().splitlines()) == 4


def test_a_helper_that_got_no_orders_ends(log: Path) -> None:
    asked = units(log, ORDERS.format(log=log))
    asked.prepare()
    asked.settle()
    assert log.read_text().splitlines() == ["orders", "done"]


def test_a_helper_that_takes_no_orders_is_asked_one_by_one(log: Path) -> None:
    asked = units(log, "orders) exit 64 ;;")
    asked.retire("a")
    time.sleep(0.2)
    asked.forget("b")
    asked.settle()
    assert log.read_text().splitlines() == ["orders", "stop a", "forget b"]


@pytest.mark.parametrize("leave", [Units.retire, Units.forget])
def test_what_is_refused_is_told(log: Path, leave: Callable[[Units, str], None]) -> None:
    asked = units(log, "*) echo no such bus >&2; exit 1 ;;")
    leave(asked, "a")
    with pytest.raises(NeedsYou) as told:
        asked.settle()
    assert list(told.value.detail) == ["no such bus"]


@pytest.mark.parametrize("begun", [True, False])
def test_a_start_is_told_to_a_helper_that_waits_for_it(log: Path, begun: bool) -> None:
    asked = units(log, f"start) read -r id; echo $id >>{log} ;;")
    asked.expect()
    if begun:
        asked.begin("a")
    assert asked.start("a", 5) is None
    assert log.read_text().splitlines() == ["start -", "a"]


def test_one_of_an_older_playbook_cannot_be_told_and_is_asked(log: Path) -> None:
    asked = units(log, "start) [ $2 != - ] || exit 64 ;;")
    asked.expect()
    time.sleep(0.2)
    asked.begin("a")
    assert asked.start("a", 5) is None
    assert log.read_text().splitlines() == ["start -", "start a"]
