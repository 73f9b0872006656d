"""slipway-hold: a command that runs while no site of the droplet is being deployed."""

import fcntl
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import Refused
from deploy.host import lock
from tests.templates.render import ROOT

HOLD = (ROOT / "roles/base/files/slipway-hold").read_text()


@pytest.fixture
def sites(tmp_path: Path) -> list[Path]:
    """Two sites that were deployed, and one that never was; returns their locks."""
    (tmp_path / "etc").mkdir()
    for name in ("one", "two", "new"):
        (tmp_path / name).mkdir()
        told = {"app": name, "root": str(tmp_path / name)}
        (tmp_path / "etc" / f"{name}.json").write_text(json.dumps(told))
    locks = [tmp_path / name / "lock" for name in ("one", "two")]
    for path in locks:
        path.touch()
    return locks


def hold(sites: list[Path], seconds: float, *command: str) -> subprocess.CompletedProcess[str]:
    program = sites[0].parents[1] / "slipway-hold"
    program.write_text(HOLD.replace("/etc/slipway", str(sites[0].parents[1] / "etc")))
    return subprocess.run(
        (sys.executable, program, str(seconds), "An upgrade", *command),
        capture_output=True,
        text=True,
    )


def taken(path: Path) -> str:
    """What somebody who deploys there is told."""
    with pytest.raises(Refused) as refused, lock.hold(path, "me", "deploy", False, print):
        pass
    return refused.value.message


def test_deploys_of_every_site_are_kept_out_while_the_command_runs(sites: list[Path]) -> None:
    started = sites[0].parent / "started"
    ended = sites[0].parent / "ended"
    script = f"touch {started}; while ! [ -e {ended} ]; do sleep 0.05; done"
    done: list[Any] = []
    runner = threading.Thread(target=lambda: done.append(hold(sites, 5, "/bin/sh", "-c", script)))
    runner.start()
    while not started.exists():
        time.sleep(0.02)
    try:
        for path in sites:
            assert taken(path).startswith("An upgrade has been running `sh` here since")
    finally:
        ended.touch()
        runner.join()
    assert done[0].returncode == 0, done[0]
    assert [lock.holder(path) for path in sites] == [None, None]


def test_it_leaves_the_command_alone_when_a_deploy_does_not_end(sites: list[Path]) -> None:
    ran = sites[0].parent / "ran"
    with sites[1].open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        done = hold(sites, 0, "/bin/touch", str(ran))
    assert done.returncode == 1
    assert done.stderr == (
        f"slipway-hold: a deploy still holds {sites[1]}; left for the next time\n"
    )
    assert not ran.exists()
    assert hold(sites, 0, "/bin/touch", str(ran)).returncode == 0
    assert ran.exists()


def test_it_leaves_the_lock_that_its_caller_holds(sites: list[Path]) -> None:
    with sites[0].open() as mine:
        fcntl.flock(mine, fcntl.LOCK_EX)
        program = sites[0].parents[1] / "slipway-hold"
        assert hold(sites, 0, "/bin/true").returncode == 1
        argv = (sys.executable, program, "--without", "one", "0", "A patch", "/bin/true")
        assert subprocess.run(argv).returncode == 0


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_root_follows_nothing_that_the_deploy_user_could_put_there(
    sites: list[Path], kind: str
) -> None:
    victim = sites[0].parent / "victim"
    victim.write_text("kept")
    sites[0].unlink()
    if kind == "link":
        sites[0].symlink_to(victim)
    else:
        subprocess.run(("mkfifo", sites[0]), check=True)
    assert hold(sites, 0, "/bin/true").returncode == 1
    assert victim.read_text() == "kept"
