"""The lock, with real processes: named, waited for, and free the moment its holder is gone."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.host import lock
from deploy.host.errors import Refused

HOLD = """
import sys
from pathlib import Path
from deploy.host.lock import hold

with hold(Path(sys.argv[1]), "ada@desk", "invoke deploy", wait=False, waiting=print):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held(path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds the lock until its standard input ends."""
    with subprocess.Popen(
        (sys.executable, "-c", HOLD, path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_taken_lock_names_its_holder_until_kill_9_frees_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert lock.holder(path) is None
    with held(path) as process:
        told = lock.holder(path)
        assert told
        assert told.startswith("ada@desk has been running `invoke deploy` here since ")
        started = time.monotonic()
        with (
            pytest.raises(Refused, match="ada@desk.*--wait"),
            lock.hold(path, "bob@desk", "invoke rollback", wait=False, waiting=print),
        ):
            pass
        assert time.monotonic() - started < 2
        process.kill()
        process.wait()
        assert lock.holder(path) is None
        with lock.hold(path, "bob@desk", "invoke rollback", wait=False, waiting=print):
            assert "bob@desk" in (lock.holder(path) or "")
    assert lock.holder(path) is None


def test_whoever_waits_is_told_once_for_whom_and_gets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "POLL_SECONDS", 0.01)
    path = tmp_path / "lock"
    told: list[str] = []
    with held(path) as process:
        assert process.stdin
        threading.Timer(0.2, process.stdin.close).start()
        with lock.hold(path, "bob@desk", "invoke deploy", wait=True, waiting=told.append):
            assert process.wait() == 0
    assert len(told) == 1
    assert told[0].startswith("ada@desk")


def test_a_failure_inside_frees_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with pytest.raises(ZeroDivisionError), lock.hold(path, "a", "b", wait=False, waiting=print):
        raise ZeroDivisionError
    assert lock.holder(path) is None


@pytest.mark.parametrize("text", ["", "{", "{}", '{"since": "x"}', "\0\0"])
def test_a_holder_that_was_not_written_down_is_still_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lock"
    with held(path):
        path.write_text(text)
        assert lock.holder(path) == "Another deploy is running here"
