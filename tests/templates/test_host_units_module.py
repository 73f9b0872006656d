"""Units in one call: what is not as it is to be, by verb of systemctl."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

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


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """What the module answers, and what it calls, where systemd says SHOWN of two units."""
    log, stub = tmp_path / "log", tmp_path / "systemctl"
    shown = SHOWN.rsplit("\n\n", 1)[0]
    stub.write_text(f'#!/bin/sh\necho "$@" >>{log}\n[ $1 != show ] || cat <<.\n{shown}\n.\n')
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def run(*units: dict[str, Any], check: bool = False, **args: Any) -> tuple[Any, list[str]]:
        given = {"units": list(units), "_ansible_check_mode": check, **args}
        with patch_module_args(given), pytest.raises(SystemExit):
            host_units.main()
        calls = [line for line in log.read_text().splitlines() if not line.startswith("show ")]
        log.unlink()
        return json.loads(capsys.readouterr().out), calls

    return run


RUNNING = {"name": "a.service", "enabled": True, "state": "started"}
DEAD = {"name": "b.service", "enabled": True, "state": "started"}


def test_systemd_reads_its_units_once(call: Any) -> None:
    answer, calls = call(RUNNING, {"name": "b.service", "state": "started"}, daemon_reload=True)
    assert calls == ["daemon-reload", "start -- b.service"]
    assert (answer["changed"], answer["started"]) == (True, ["b.service"])
    # As enabling makes it do.
    _, calls = call(RUNNING, DEAD, daemon_reload=True)
    assert "daemon-reload" not in calls
    assert calls[0] == "enable -- b.service"


def test_a_check_calls_for_nothing(call: Any) -> None:
    answer, calls = call(RUNNING, DEAD, daemon_reload=True, check=True)
    assert calls == []
    assert answer["diff"] == {"prepared": "enable b.service\nstart b.service\n"}
