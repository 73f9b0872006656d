"""Other programs are run to their end, or not waited for."""

import os
import subprocess
import time

import pytest

from deploy.host.command import run


def test_what_a_program_says_and_how_it_ends_is_told() -> None:
    done = run(("sh", "-c", "echo out; echo é >&2; cat; exit 3"), seconds=10)
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "é\n")


def test_ctrl_c_in_the_terminal_does_not_reach_it() -> None:
    # Field 6 of proc(5)'s stat is the session.
    done = run(("cut", "--delimiter= ", "--fields=6", "/proc/self/stat"), seconds=10)
    assert int(done.stdout) != os.getsid(0)


def test_a_program_that_takes_too_long_is_not_waited_for() -> None:
    started = time.monotonic()
    # Its child holds on to the output.
    with pytest.raises(subprocess.TimeoutExpired):
        run(("sh", "-c", "sleep 2 & wait"), seconds=0.1)
    assert time.monotonic() - started < 1.5
