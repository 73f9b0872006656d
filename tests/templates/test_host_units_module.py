"""Units in one call: what is not as it is to be, by verb of systemctl."""

from __future__ import annotations

from typing import Any

import pytest

from tests.templates.role_files import load

host_units = load("units/library/host_units.py")

SHOWN = """\
LoadState=loaded
ActiveState=active
UnitFileState=enabled
NeedDaemonReload=no

LoadState=loaded
ActiveState=failed
UnitFileState=disabled
NeedDaemonReload=yes

LoadState=not-found
ActiveState=inactive
UnitFileState=
"""
RUNS, FAILED, MISSING = host_units.read(SHOWN)


def planned(found: Any, **wanted: Any) -> dict[str, list[str]]:
    unit = {"name": "a.service", "enabled": None, "state": None, **wanted}
    return dict(host_units.plan([unit], [found]))


def test_what_systemd_says_of_units() -> None:
    assert RUNS == (True, True, True, False)
    assert FAILED == (True, False, False, True)
    assert MISSING == (False, False, False, False)


@pytest.mark.parametrize(
    ("found", "wanted", "verbs"),
    [
        (RUNS, {"enabled": True, "state": "started"}, []),
        (RUNS, {"enabled": False, "state": "stopped"}, ["disable", "stop"]),
        (RUNS, {"state": "restarted"}, ["restart"]),
        (RUNS, {"state": "reloaded"}, ["reload"]),
        (FAILED, {"enabled": True, "state": "started"}, ["enable", "start"]),
        (FAILED, {"enabled": False, "state": "stopped"}, []),
        (FAILED, {"state": "reloaded"}, ["start"]),
        (MISSING, {"enabled": True}, ["enable"]),
        (RUNS, {}, []),
    ],
)
def test_a_unit_is_touched_when_it_is_not_as_it_is_to_be(
    found: Any, wanted: dict[str, Any], verbs: list[str]
) -> None:
    assert planned(found, **wanted) == {verb: ["a.service"] for verb in verbs}


def test_units_go_together() -> None:
    units = [{"name": f"{n}.timer", "enabled": True, "state": "started"} for n in range(3)]
    names = ["0.timer", "1.timer", "2.timer"]
    assert host_units.plan(units, [FAILED] * 3) == {"enable": names, "start": names}
