"""The loader as a test uses it, and what its history has to say."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.run import dies_with_parent
from tests.lab.faults import loader
from tests.lab.faults.loader import READY, Record
from tests.lab.site import ROOT, Site, environment

# In-flight requests are waited for by the loader itself.
END_SECONDS = loader.REQUEST_SECONDS + 20
MOST_SECONDS = 1200.0
# While faults happen; RATE of the loader is for measuring, and two busy cores may not carry it.
RATE = 20.0


class Visitors:
    """Visitors who come at a constant rate while the block runs; ``history`` is theirs after it.

    The loader is a process of its own, and dies with this one.
    """

    def __init__(
        self,
        site: Site,
        path: str = "/",
        rate: float = RATE,
        source: str = "",
        port: int = 443,
    ) -> None:
        self._site, self._path, self._rate, self._source = site, path, rate, source
        self._port = port
        handle, name = tempfile.mkstemp(prefix="slipway-history-", suffix=".jsonl")
        os.close(handle)
        self._out = Path(name)
        self.history: list[Record] = []

    def __enter__(self) -> Self:
        argv = (
            *(sys.executable, "-m", "tests.lab.faults.loader", self._site.address),
            *(self._site.domain, "--path", self._path, "--rate", str(self._rate)),
            *("--seconds", str(MOST_SECONDS), "--out", str(self._out)),
            *("--source", self._source, "--port", str(self._port)),
        )
        self._process = subprocess.Popen(
            dies_with_parent(argv), cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        assert self._process.stdout.readline().strip() == READY
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.communicate(timeout=END_SECONDS)
        finally:
            self._process.kill()
            self._process.communicate()
            self.history = loader.read(self._out)
            self._out.unlink()

    def so_far(self) -> list[Record]:
        """The requests answered until now."""
        return loader.read(self._out)

    def wait_for(self, seconds: float) -> None:
        """Let them come for that long."""
        time.sleep(seconds)


def between(history: Iterable[Record], begun: float, ended: float) -> list[Record]:
    """The requests scheduled between two moments (Unix times)."""
    return [record for record in history if begun <= record.at < ended]


def lost(history: Iterable[Record]) -> list[Record]:
    """Requests that were not answered by a release with 200, in full."""
    return [record for record in history if not record.good]


def releases(history: Iterable[Record]) -> list[str]:
    """The releases that answered, in the order in which visitors met them first."""
    met = sorted(record for record in map(_meeting, history) if record[1])
    return list(dict.fromkeys(release for _, release in met))


def slowest(history: Iterable[Record]) -> float:
    """Seconds of the slowest answer; 0 without any."""
    return max((record.seconds for record in history), default=0.0)


def describe(records: Sequence[Record], most: int = 10) -> str:
    """For assertion messages."""
    shown = [f"  {one.at:.3f} {one.seconds:.3f} s {one.status} {one.error}" for one in records]
    return "\n".join([f"{len(records)} requests:", *shown[:most]])


def _meeting(record: Record) -> tuple[float, str]:
    return record.answered_at, record.release
