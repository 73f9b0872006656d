"""Commands on this very host, for a journey that is steered on the droplet itself."""

from __future__ import annotations

import os
import select
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from deploy.session import CHUNK, SILENCE_SECONDS, Start
from deploy.target import Target


@contextmanager
def connected(target: Target) -> Iterator[Start]:
    """As :func:`deploy.runner.connected`, without a network in between."""
    yield _Process


class _Process:
    """A :class:`deploy.session.Channel` to a process.

    A session of its own keeps a terminal's Ctrl-C from it: it backs out when it is told to, in
    order. Where this process is the first to go when memory is short, it is not.
    """

    def __init__(self, command: str) -> None:
        # A pipe that nobody empties would stop it.
        self._complaint = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            ("/bin/sh", "-c", f"echo 0 >/proc/self/oom_score_adj; {command}"),
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaint,
            start_new_session=True,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._to, self._from = self._process.stdin, self._process.stdout

    def send(self, data: bytes) -> None:
        self._to.write(data)
        self._to.flush()

    def receive(self) -> bytes:
        if not select.select([self._from], [], [], SILENCE_SECONDS)[0]:
            raise TimeoutError
        return os.read(self._from.fileno(), CHUNK)

    def end(self) -> None:
        self._to.close()

    def code(self) -> int:
        return self._process.wait()

    def complaint(self) -> str:
        self._complaint.seek(0)
        return self._complaint.read().decode(errors="replace")

    def close(self) -> None:
        # It ends by itself, now or once it has done what it is at.
        with suppress(OSError):
            self._to.close()
        self._from.close()
        self._complaint.close()
