"""A process is known by more than its number."""

import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.process import Identity, live, parse_stat, spawn, tail, wait_for

SLEEP = ("sleep", "60")


def identity(process: "subprocess.Popen[bytes]") -> Identity:
    found = Identity.of(process.pid)
    assert found
    return found


def test_start_time_is_found_behind_any_command_name() -> None:
    numbers = " ".join(str(number) for number in range(4, 53))
    assert parse_stat(f"42 (a b) R (c) S {numbers}") == ("S", 22)


def test_a_live_process_is_itself() -> None:
    mine = Identity.of(os.getpid())
    assert mine
    assert mine.alive()
    assert not replace(mine, start=mine.start + 1).alive()
    assert not replace(mine, boot="another").alive()


def test_a_reused_id_is_never_signalled() -> None:
    with subprocess.Popen(SLEEP) as process:
        earlier = replace(identity(process), start=1)
        assert not earlier.signal(signal.SIGKILL)
        assert process.poll() is None
        assert identity(process).signal(signal.SIGKILL)


def test_a_zombie_is_dead() -> None:
    with subprocess.Popen(SLEEP) as process:
        known = identity(process)
        known.kill()
        assert not known.alive()
        assert not known.signal(signal.SIGTERM)


@pytest.mark.parametrize("text", ["", "{", "{}", '{"pid": 1}', "[]"])
def test_a_torn_file_holds_no_identity(tmp_path: Path, text: str) -> None:
    (tmp_path / "pid").write_text(text)
    assert Identity.load(tmp_path / "pid") is None


def test_no_file_holds_no_identity(tmp_path: Path) -> None:
    assert Identity.load(tmp_path / "none") is None


def test_a_spawned_process_has_a_session_of_its_own_and_is_found_again(tmp_path: Path) -> None:
    argv = ("sleep", f"6{os.getpid()}")
    process = spawn(argv, tmp_path / "log", tmp_path / "identity", {})
    try:
        assert os.getsid(process.pid) == process.pid
        assert Identity.load(tmp_path / "identity") == process
        wait_for(lambda: live(lambda words: words == argv) == [process], 5, "exec")
    finally:
        process.kill()
    assert live(lambda words: words == argv) == []


def test_the_tail_of_a_log_is_its_last_word(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert str(log) in tail(log)
    log.write_text("one\ntwo\n\n")
    assert tail(log) == "two"


def test_waiting_in_vain_says_for_what() -> None:
    with pytest.raises(LabError, match="in vain for godot"):
        wait_for(lambda: False, 0.05, "godot")
