"""What a person at the controller sees: phases as they go, and a summary."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

from deploy.errors import SlipwayError

if TYPE_CHECKING:
    from rich.console import Console as Terminal
    from rich.console import RenderableType
    from rich.status import Status

UNBOUNDED = 500


@dataclass
class PhaseTime:
    """One finished phase: seconds it took, bytes it sent."""

    name: str
    seconds: float
    bytes: int = 0


@dataclass
class Console:
    """Progress goes to standard error, results to standard output.

    With ``as_json`` nothing but one JSON document is printed. ``quiet`` leaves the phases out.
    """

    as_json: bool = False
    quiet: bool = False
    phases: list[PhaseTime] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._status: Status | None = None
        self._started = time.monotonic()

    @cached_property
    def out(self) -> Terminal:
        return _terminal(stderr=False)

    @cached_property
    def err(self) -> Terminal:
        terminal = _terminal(stderr=True)
        terminal.quiet = self.as_json
        return terminal

    @contextmanager
    def phase(self, name: str) -> Iterator[PhaseTime]:
        """A phase on the controller."""
        started = time.monotonic()
        self._begin(name)
        current = PhaseTime(name, 0.0)
        state = "failed"
        try:
            yield current
            state = "done"
        finally:
            current.seconds = time.monotonic() - started
            self._end(current, state)

    def progress(self, text: str) -> None:
        """How far the phase has come, where somebody looks on."""
        if self._status:
            self._status.update(text)

    def event(self, facts: dict[str, Any]) -> None:
        """Show an event of the release tool on the droplet."""
        if "note" in facts:
            self.note(facts["note"])
        elif facts.get("state") == "started":
            self._begin(facts["phase"])
        elif "state" in facts:
            ended = PhaseTime(facts["phase"], facts["seconds"], facts["bytes"])
            self._end(ended, facts["state"])

    def note(self, text: str) -> None:
        """A remark inside a phase."""
        self._say(f"             {text}", "dim")

    def times(self) -> list[dict[str, Any]]:
        """Phase, seconds and bytes, for scripts."""
        return [vars(phase) for phase in self.phases]

    def summary(self) -> None:
        """Phase, seconds, bytes sent."""
        if self.as_json:
            return
        total = time.monotonic() - self._started
        rows = [("phase", "seconds", "sent")]
        for phase in self.phases:
            sent = size(phase.bytes) if phase.bytes else ""
            rows.append((phase.name, f"{phase.seconds:.2f}", sent))
        rows.append(("in all", f"{total:.2f}", ""))
        # rich.table takes longer to import than to print this.
        first, second, third = (max(map(len, column)) for column in zip(*rows, strict=True))
        for row in rows:
            text = f"{row[0]:{first}}  {row[1]:>{second}}  {row[2]:>{third}}".rstrip()
            self._say(text, "bold" if row in (rows[0], rows[-1]) else "")

    def result(self, text: RenderableType, facts: Any) -> None:
        """The outcome: a sentence for people, or the facts for scripts."""
        if self.as_json:
            print(json.dumps(facts, indent=2, default=str))
        elif isinstance(text, str) and not _looked_at(sys.stdout):
            print(text)
        else:
            is_line = isinstance(text, str)
            self.out.print(text, markup=not is_line, soft_wrap=is_line)

    def failure(self, error: SlipwayError) -> None:
        """Why it did not work, with the evidence below."""
        if self.as_json:
            facts = {"kind": error.kind, "message": error.message, "detail": error.detail}
            print(json.dumps({"error": facts}, indent=2))
            return
        # Here, as all of rich: a script is shown none of it, and people wait for the droplet then.
        from rich.markup import escape

        for line in error.detail:
            self.err.print(f"  {line}", style="dim", markup=False, soft_wrap=True)
        self.err.print(
            f"[bold red]{error.kind}:[/bold red] {escape(error.message)}", soft_wrap=True
        )

    def _begin(self, name: str) -> None:
        if not self.as_json and not self.quiet and _looked_at(sys.stderr):
            self._status = self.err.status(name)
            self._status.start()

    def _end(self, phase: PhaseTime, state: str) -> None:
        if self._status:
            self._status.stop()
            self._status = None
        self.phases.append(phase)
        if self.quiet or self.as_json:
            return
        sent = f"  {size(phase.bytes)}" if phase.bytes else ""
        told = f"{phase.seconds:5.2f} s  {phase.name}{sent}"
        if _looked_at(sys.stderr):
            colour = "green" if state == "done" else "red"
            self.err.print(f"[{colour}]{state:6}[/{colour}] {told}")
        else:
            self._say(f"{state:6} {told}")

    def _say(self, text: str, style: str = "") -> None:
        if self.as_json:
            return
        if _looked_at(sys.stderr):
            self.err.print(text, style=style, markup=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr)


def _looked_at(stream: TextIO) -> bool:
    """Whether somebody looks on. For a file or a pipe rich would write the same, once imported."""
    return stream.isatty() or "FORCE_COLOR" in os.environ


def _terminal(stderr: bool) -> Terminal:
    from rich.console import Console as Terminal

    # A pipe or a file has no width; nothing should be cut or broken for it.
    # Emoji: a commit's ":sparkles:" is shown as it was typed.
    terminal = Terminal(stderr=stderr, highlight=False, emoji=False)
    if not terminal.is_terminal:
        terminal.width = UNBOUNDED
    return terminal


def size(count: float) -> str:
    """Bytes for people, in powers of a thousand."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        # What would be rounded up to 1000.0 is one of the next unit.
        if count < 999.95:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} TB"
