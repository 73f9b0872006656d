"""What a run tells while it goes: lines of the journal, and the same for who waits for it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any


class Events:
    """Told to a file, one JSON document a line, and to standard output.

    A run begins the file anew and ends it with ``done`` or ``error``.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._noted = 0.0

    def note(self, text: str) -> None:
        """A remark."""
        print(text, flush=True)
        self._write({"note": text})

    def now_and_then(self, text: str, seconds: float = 5.0) -> None:
        """A remark of which there would be too many."""
        if time.monotonic() - self._noted >= seconds:
            self._noted = time.monotonic()
            self.note(text)

    def done(self, facts: Any) -> None:
        """The last word of a run that went well."""
        self._write({"done": facts})

    def error(self, sentence: str, detail: tuple[str, ...]) -> None:
        """The last word of one that did not."""
        print(*detail, sentence, sep="\n", flush=True)
        self._write({"error": {"message": sentence, "detail": list(detail)}})

    def _write(self, facts: dict[str, Any]) -> None:
        os.write(self._descriptor, json.dumps(facts).encode() + b"\n")


def read(path: Path, offset: int) -> tuple[list[dict[str, Any]], int]:
    """The events of a file that follow ``offset``, and the offset after them."""
    try:
        data = path.read_bytes()[offset:]
    except FileNotFoundError:
        return [], 0
    whole = data[: data.rfind(b"\n") + 1]
    return [json.loads(line) for line in whole.splitlines()], offset + len(whole)
