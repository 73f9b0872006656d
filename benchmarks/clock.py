"""Commands, and how long they take."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.model import Failed
from tests.lab.site import Done, environment

LONGEST_SECONDS = 900.0
DETAIL_LINES = 15


@dataclass(frozen=True)
class Timed:
    """How long a command took, from its start to its end, in seconds, and what it said."""

    seconds: float
    output: str


def timed(
    argv: Sequence[str], cwd: Path | None = None, variables: Mapping[str, str] | None = None
) -> Timed:
    """Run a command that must succeed.

    Raises:
        Failed: it did not.
    """
    begun = time.monotonic()
    done = subprocess.run(
        argv,
        cwd=cwd,
        env={**usual_environment(), **(variables or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=LONGEST_SECONDS,
    )
    seconds = time.monotonic() - begun
    must(Done(" ".join(argv), done.returncode, done.stdout, ""))
    return Timed(seconds, done.stdout)


def usual_environment() -> dict[str, str]:
    """As people have it: Python keeps the bytecode of what it has compiled."""
    kept = environment()
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept


def must(done: Done) -> Done:
    """What a command said that must have succeeded.

    Raises:
        Failed: it did not.
    """
    if done.code != 0:
        said = done.output.strip().splitlines()[-DETAIL_LINES:]
        raise Failed(f"`{done.command[:200]}` ended with {done.code}", said)
    return done
