"""Commands in processes of this host, be they its own or OpenSSH's client."""

from __future__ import annotations

import os
import select
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from deploy.session import CHUNK, SILENCE_SECONDS, Start
from deploy.target import Target


@contextmanager
def connected(target: Target) -> Iterator[Start]:
    """As :func:`deploy.runner.connected`, for a journey that is steered on the droplet itself.

    Where this process is the first to go when memory is short, what it starts is not.
    """
    yield lambda line: Process(("/bin/sh", "-c", f"echo 0 >/proc/self/oom_score_adj; {line}"))


class Process:
    """A :class:`deploy.session.Channel` to a process.

    A session of its own keeps a terminal's Ctrl-C from it: it backs out when it is told to, in
    order.
    """

    def __init__(self, argv: Sequence[str]) -> None:
        # A pipe that nobody empties would stop it, and one that is handed on would never end.
        self._complaint = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            argv,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaint,
            start_new_session=True,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._to, self._from = self._process.stdin, self._process.stdout
        os.set_blocking(self._to.fileno(), False)

    def send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            if not select.select([], [self._to], [], SILENCE_SECONDS)[1]:
                raise TimeoutError
            rest = rest[os.write(self._to.fileno(), rest) :]

    def receive(self) -> bytes:
        return self._read(CHUNK, SILENCE_SECONDS)

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

    def first(self, seconds: float) -> bytes:
        """The first byte that it says, b"" if it ends without one. Raises TimeoutError."""
        return self._read(1, seconds)

    def end_now(self) -> None:
        """Do not let it finish."""
        self._process.kill()
        self._process.wait()
        self.close()

    def _read(self, most: int, seconds: float) -> bytes:
        if not select.select([self._from], [], [], seconds)[0]:
            raise TimeoutError
        return os.read(self._from.fileno(), most)
