"""Standard input as the controller's side of the conversation: lines, and runs of bytes."""

from __future__ import annotations

import io
import json
import os
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from deploy.host.errors import BackedOut

CHUNK = 1 << 16
# A controller sends without pause once it sends; silence means that the network is gone.
SILENCE_SECONDS = 20.0
CANCEL = b"cancel\n"
# Before each piece of a payload.
LENGTH_BYTES = 4


class Wire:
    """Reads commands and payloads from a file descriptor, without ever reading ahead of them."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = b""
        self._ended = False
        # Set when the controller asked to back out, by whoever sees it first.
        self.cancel = threading.Event()

    def command(self) -> dict[str, Any] | None:
        """The next command, or None when the controller is gone. Waits as long as it takes."""
        while True:
            while b"\n" not in self._buffer:
                if not self._fill(timeout=None):
                    return None
            line, self._buffer = self._buffer.split(b"\n", 1)
            if line != CANCEL.strip():
                return dict(json.loads(line))
            self.cancel.set()

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes, at least one.

        Raises:
            BackedOut: the controller is gone, or silent for too long.
        """
        if not self._buffer and not self._fill(timeout=SILENCE_SECONDS):
            raise BackedOut(
                "The connection to the controller was lost during the upload. What arrived is "
                "kept. Run: invoke deploy"
            )
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def exactly(self, size: int) -> bytes:
        """The next ``size`` bytes. Raises as :meth:`read`."""
        taken = b""
        while len(taken) < size:
            taken += self.read(size - len(taken))
        return taken

    @contextmanager
    def watch(self, gone_too: bool = False) -> Iterator[None]:
        """Set ``cancel`` when the controller says so while the block runs.

        Args:
            gone_too: also when it goes away, for what is only shown to it.
        """
        wake_reader, wake_writer = os.pipe()
        args = (wake_reader, gone_too)
        watcher = threading.Thread(target=self._watch, args=args, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            os.close(wake_writer)
            watcher.join()
            os.close(wake_reader)

    def _watch(self, wake: int, gone_too: bool) -> None:
        while not self._ended:
            readable, _, _ = select.select([self._descriptor, wake], [], [])
            if wake in readable:
                return
            self._ended = not self._take()
            if CANCEL in self._buffer:
                self._buffer = self._buffer.replace(CANCEL, b"")
                self.cancel.set()
        if gone_too:
            self.cancel.set()

    def _fill(self, timeout: float | None) -> bool:
        if self._ended or not self._readable(timeout):
            return False
        self._ended = not self._take()
        return not self._ended

    def _readable(self, timeout: float | None) -> bool:
        return bool(select.select([self._descriptor], [], [], timeout)[0])

    def _take(self) -> bool:
        chunk = os.read(self._descriptor, CHUNK)
        self._buffer += chunk
        return bool(chunk)


class Payload(io.RawIOBase):
    """What comes next on a wire as a file: pieces with their length before them, an empty one last.

    Nobody has to know how much it will be.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._left = 0
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left and not self._ended:
            self._left = int.from_bytes(self._wire.exactly(LENGTH_BYTES), "big")
            self._ended = not self._left
        if self._ended:
            return 0
        data = self._wire.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)
