"""Running other programs, as root or as somebody with fewer rights."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

DETAIL_LINES = 12
LOOK_SECONDS = 5.0
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def run(
    argv: Sequence[str | Path],
    user: str | None = None,
    environment: Mapping[str, str] | None = None,
    cwd: Path = Path("/"),
    meanwhile: Callable[[], None] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; its output is text. It raises nothing for an exit code.

    Args:
        user: as whom; root if None.
        meanwhile: called every few seconds.
    """
    process = subprocess.Popen(
        [str(word) for word in argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        cwd=cwd,
        env=clean(environment),
        umask=0o077,
        **identity(user),
    )
    while True:
        try:
            out, err = process.communicate(timeout=LOOK_SECONDS if meanwhile else None)
            return subprocess.CompletedProcess(argv, process.returncode, out, err)
        except subprocess.TimeoutExpired:
            if meanwhile:
                meanwhile()


def identity(user: str | None) -> dict[str, Any]:
    """Arguments of subprocess that make a process somebody's, and nobody else's."""
    if user is None or os.geteuid() != 0:
        return {}
    return {"user": user, "group": user, "extra_groups": []}


def clean(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a program: nothing of who asked for it."""
    return {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/", "PGTZ": "UTC", **(environment or {})}


def lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The end of what a program said, without blank lines and what no terminal shows."""
    said = (done.stdout + "\n" + done.stderr).splitlines()
    return [_shown(line).rstrip() for line in said if line.strip()][-DETAIL_LINES:]


def _shown(line: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in line.expandtabs())


def size(count: float) -> str:
    """Bytes for people, in powers of a thousand."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
