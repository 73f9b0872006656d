"""A terminal for a command under test: what is typed into it, and what shows on it."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab.site import BIN, environment

CTRL_C = b"\x03"
CTRL_D = b"\x04"
ROWS, COLUMNS = 37, 101


class Terminal:
    """A command that runs in a terminal of its own, ROWS by COLUMNS, while the block runs."""

    def __init__(self, cwd: Path, *argv: str) -> None:
        self.shown = ""
        self._argv, self._cwd = argv, cwd

    def __enter__(self) -> Self:
        self._pid, self._screen = pty.fork()
        if self._pid == 0:
            # What is typed too early ends this copy of the tests, and does not tidy up after them.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.chdir(self._cwd)
            # The terminal's size is there before the command is.
            time.sleep(0.3)
            os.execvpe(BIN / self._argv[0], self._argv, {**environment(), "TERM": "xterm"})
        self.resize(ROWS, COLUMNS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._screen)
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)

    def type(self, text: str | bytes) -> None:
        os.write(self._screen, text.encode() if isinstance(text, str) else text)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._screen, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait_for(self, pattern: str, seconds: float = 60) -> re.Match[str]:
        """Until this pattern shows; what was shown up to its end is gone then."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = re.search(pattern, self.shown)
            if found:
                self.shown = self.shown[found.end() :]
                return found
            if not self._read(deadline):
                break
        raise AssertionError(f"{pattern!r} did not show in {self.shown!r}")

    def code(self, seconds: float = 60) -> int:
        """The exit code of the command, which ends by itself."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass
        pid, self._pid = self._pid, 0
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def hang_up(self) -> None:
        """The window is closed."""
        os.kill(self._pid, signal.SIGHUP)

    def _read(self, deadline: float) -> bool:
        """Whether there may be more."""
        while time.monotonic() < deadline:
            if select.select([self._screen], [], [], 0.2)[0]:
                try:
                    self.shown += os.read(self._screen, 1 << 16).decode(errors="replace")
                except OSError:
                    # Nobody has the other end any more.
                    return False
                return True
        raise AssertionError(f"it neither ended nor said more than {self.shown!r}")
