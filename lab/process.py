"""Processes that outlive the command which started them, named so that no other is ever hit."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lab import files
from lab.errors import LabError
from lab.run import environment

# What this very process started: a dead child stays a zombie, and keeps its control group busy,
# until its parent asks after it.
_started: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Identity:
    """A process for all time: its id, its start in clock ticks since boot, and which boot.

    A process id alone is reused; the three together are not.
    """

    pid: int
    start: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        """The identity of a live process, or None when there is none (a zombie counts as none)."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        state, start = parse_stat(stat)
        return None if state in "ZX" else cls(pid, start, boot_id())

    @classmethod
    def load(cls, path: Path) -> "Identity | None":
        """What `save` wrote, or None when the file is missing or torn."""
        try:
            return cls(**json.loads(files.read(path) or ""))
        except (TypeError, ValueError):
            return None

    def save(self, path: Path) -> None:
        files.write(path, json.dumps(asdict(self)) + "\n")

    def alive(self) -> bool:
        return Identity.of(self.pid) == self

    def signal(self, number: int) -> bool:
        """Send the signal if this very process still lives; say whether it was sent."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            # The handle pins the process: the check below cannot be outdated by a reused id.
            if not self.alive():
                return False
            signal.pidfd_send_signal(handle, number)
            return True
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)

    def kill(self, patience: float = 10) -> None:
        """SIGKILL, and return when it is gone; raise LabError after `patience` seconds."""
        self.signal(signal.SIGKILL)
        wait_for(lambda: not self.alive(), patience, f"process {self.pid} to die")


def parse_stat(stat: str) -> tuple[str, int]:
    """State letter and start time of a /proc/PID/stat line (proc(5), fields 3 and 22).

    The command's name may hold spaces and brackets, so fields count from the last bracket.
    """
    fields = stat.rpartition(")")[2].split()
    return fields[0], int(fields[19])


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def spawn(argv: Sequence[str], log: Path, identity: Path, extra: dict[str, str]) -> Identity:
    """Start argv in a session of its own, output appended to log, its identity saved."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as stream:
        process = subprocess.Popen(
            argv,
            cwd="/",
            env={**environment(), **extra},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _started.append(process)
    found = Identity.of(process.pid)
    if found is None:
        raise LabError(f"{argv[0]} ended as soon as it was started. Its last words: {tail(log)}")
    found.save(identity)
    return found


def tail(log: Path) -> str:
    """The last line of a log that says something."""
    lines = [line for line in (files.read(log) or "").splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"none ({log})"


def wait_for(done: Callable[[], bool], patience: float, what: str) -> None:
    """Poll until done() or raise LabError after `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        _started[:] = [process for process in _started if process.poll() is None]
        if done():
            return
        if time.monotonic() > deadline:
            raise LabError(f"Waited {patience:.0f} s in vain for {what}.")
        time.sleep(0.02)


def live(match: Callable[[tuple[str, ...]], bool]) -> list[Identity]:
    """The live processes of this host whose argv matches."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if words and match(tuple(words)):
            found.append(Identity.of(int(folder.name)))
    return [process for process in found if process]
