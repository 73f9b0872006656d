"""One run at a time, and who waits for it."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from slipway_backup import events
from slipway_backup.settings import Settings
from slipway_backup.trouble import Trouble

# What a controller waits for at most in one call, and how often it is looked for something new.
FOLLOW_SECONDS = 10.0
POLL_SECONDS = 0.2
# Until then a unit that was started has told its first word.
BEGIN_SECONDS = 15.0
STOPPED = ("inactive", "failed")


def unit(verb: str) -> str:
    return f"slipway-backup@{verb}.service"


def told(settings: Settings, verb: str) -> Path:
    """Where a run tells how it goes."""
    return settings.run / f"{verb}.events"


@contextmanager
def alone(settings: Settings, tell: events.Events) -> Iterator[None]:
    """Wait until no other run is at work, and keep others waiting while the block runs."""
    lock = os.open(settings.run / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                tell.now_and_then("waiting for another run of the backups to end")
                time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(lock)


def begin(settings: Settings, verb: str, request: str) -> None:
    """Start the unit of a verb; it goes on whatever becomes of the caller.

    Args:
        request: what it is asked for, as JSON.

    Raises:
        Trouble: it runs already.
    """
    if _state(verb) not in STOPPED:
        raise Trouble(f"{unit(verb)} runs already. Look: journalctl -f -u {unit(verb)}")
    told(settings, verb).unlink(missing_ok=True)
    draft = settings.run / f".{verb}.request"
    draft.write_text(json.dumps(json.loads(request)))
    draft.replace(settings.run / f"{verb}.request")
    subprocess.run(("systemctl", "reset-failed", unit(verb)), capture_output=True)
    done = subprocess.run(
        ("systemctl", "start", "--no-block", unit(verb)), capture_output=True, text=True
    )
    if done.returncode != 0:
        raise Trouble(f"{unit(verb)} does not start: {done.stderr.strip()}")
    until = time.monotonic() + BEGIN_SECONDS
    while not told(settings, verb).exists() and time.monotonic() < until:
        time.sleep(POLL_SECONDS)


def request(settings: Settings, verb: str) -> dict[str, Any]:
    """What the run is asked for."""
    found: dict[str, Any] = json.loads((settings.run / f"{verb}.request").read_text())
    return found


def follow(settings: Settings, verb: str, offset: int) -> dict[str, Any]:
    """What the run has told since ``offset``; waits a little for something new.

    ``active`` is false once the unit has stopped.
    """
    until = time.monotonic() + FOLLOW_SECONDS
    while True:
        active = _state(verb) not in STOPPED
        found, after = events.read(told(settings, verb), offset)
        if found or not active or time.monotonic() > until:
            return {"events": found, "offset": after, "active": active}
        time.sleep(POLL_SECONDS)


def _state(verb: str) -> str:
    argv = ("systemctl", "show", "--property=ActiveState", "--value", unit(verb))
    return subprocess.run(argv, capture_output=True, text=True).stdout.strip()
