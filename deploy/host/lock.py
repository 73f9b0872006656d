"""One deploy at a time. The lock is a flock held by a process: it dies with it, never stale."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from deploy.host.audit import now
from deploy.host.context import Context
from deploy.host.errors import Refused

POLL_SECONDS = 0.25


@contextmanager
def hold(
    path: Path, who: str, command: str, wait: bool, waiting: Callable[[str], None]
) -> Iterator[None]:
    """Hold the lock at ``path`` while the block runs.

    Args:
        who: shown to whoever finds the lock taken.
        command: what the lock is held for.
        wait: wait for the other one instead of refusing.
        waiting: told once who is waited for.

    Raises:
        Refused: somebody else holds the lock; the sentence says who, and since when.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _acquire(descriptor, path, wait, waiting)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, _holder(who, command), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def of(ctx: Context, wait: bool) -> AbstractContextManager[None]:
    """Hold the site's lock, and say who is waited for."""

    def waiting(holding: str) -> None:
        ctx.reporter.event(phase="lock", note=f"{holding}; waiting")

    return hold(ctx.layout.lock, ctx.who, ctx.command, wait, waiting)


def holder(path: Path) -> str | None:
    """One clause on who holds the lock and since when; None when it is free."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _describe(path)
    finally:
        os.close(descriptor)
    return None


def _acquire(descriptor: int, path: Path, wait: bool, waiting: Callable[[str], None]) -> None:
    told = False
    patience = time.monotonic() + POLL_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            holding = _describe(path)
        # Whoever only looks at the lock (status) holds it for an instant.
        if not wait and time.monotonic() > patience:
            raise Refused(
                f"{holding}. Wait for it with --wait (git push: -o wait), or look: invoke status"
            )
        if wait and not told:
            waiting(holding)
            told = True
        time.sleep(POLL_SECONDS)


def _holder(who: str, command: str) -> bytes:
    return json.dumps({"who": who, "command": command, "since": now()}).encode()


def _describe(path: Path) -> str:
    with suppress(ValueError, KeyError):
        held = json.loads(path.read_text())
        since = datetime.fromisoformat(held["since"])
        seconds = (datetime.now(UTC) - since).total_seconds()
        return (
            f"{held['who']} has been running `{held['command']}` here "
            f"since {since:%H:%M:%S} UTC ({seconds:.0f} s)"
        )
    return "Another deploy is running here"
