"""What the release tool says while it works: events, to a controller or to a person."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from deploy.host.errors import SlipwayError

HEARTBEAT_SECONDS = 5.0


class Reporter(Protocol):
    """Where events go. None of these may raise because nobody listens any more."""

    def event(self, **facts: Any) -> None: ...


class Phase:
    """One step in progress; ``bytes`` is filled in where something was sent."""

    def __init__(self, reporter: Reporter, name: str) -> None:
        self.name = name
        self.bytes = 0
        self._reporter = reporter

    def note(self, text: str) -> None:
        """Say what is going on inside the phase."""
        self._reporter.event(phase=self.name, note=text)


@contextmanager
def phase(reporter: Reporter, name: str) -> Iterator[Phase]:
    """Report the beginning of a phase, and its end with the seconds it took."""
    reporter.event(phase=name, state="started")
    started = time.monotonic()
    current = Phase(reporter, name)
    state = "failed"
    try:
        yield current
        state = "done"
    finally:
        seconds = round(time.monotonic() - started, 3)
        reporter.event(phase=name, state=state, seconds=seconds, bytes=current.bytes)


class JsonReporter:
    """Events as lines of JSON on standard output, with a heartbeat between them.

    A controller that is gone must not stop a switch half-way, so errors of writing are
    forgotten: the release tool goes on, and the audit log tells.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        threading.Thread(target=self._beat, daemon=True).start()

    def event(self, **facts: Any) -> None:
        with self._lock:
            try:
                sys.stdout.write(json.dumps(facts) + "\n")
                sys.stdout.flush()
            except (OSError, ValueError):
                pass

    def failure(self, error: SlipwayError) -> None:
        self.event(error={"kind": error.kind, "message": error.message, "detail": error.detail})

    def _beat(self) -> None:
        while True:
            time.sleep(HEARTBEAT_SECONDS)
            self.event(heartbeat=True)


class TextReporter:
    """Events as lines for somebody who is logged in on the droplet."""

    def event(self, **facts: Any) -> None:
        if "note" in facts:
            print(f"  {facts['phase']}: {facts['note']}", flush=True)
        elif facts.get("state") in ("done", "failed"):
            print(f"{facts['state']:>6}  {facts['phase']}  {facts['seconds']:.2f} s", flush=True)
