"""Running other programs, most of them by sudo."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import suppress


def run(argv: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
    """Run a program without input, and return its output as text.

    Raises:
        subprocess.TimeoutExpired: as :func:`end`.
    """
    return end(begin(argv), seconds)


def begin(argv: Sequence[str], told: bool = False) -> subprocess.Popen[str]:
    """Start a program, and do not wait for it. It has no input, or is ``told`` through a pipe.

    A session of its own keeps a terminal's Ctrl-C from it: it ends when it is done, and what is
    backed out is backed out in order.
    """
    return subprocess.Popen(
        argv,
        stdin=subprocess.PIPE if told else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )


def end(process: subprocess.Popen[str], seconds: float) -> subprocess.CompletedProcess[str]:
    """Wait for a program that was begun, and is told no more.

    Raises:
        subprocess.TimeoutExpired: it takes longer. A program that runs as root cannot be killed
            from here and goes on; the caller has a verb to undo it.
    """
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        with suppress(PermissionError):
            process.kill()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
