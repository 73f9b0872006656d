"""A controller at work, watched line by line: so a fault can strike in a chosen phase."""

import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from lab import network
from lab.process import Identity, live
from tests.lab.site import BIN, Done, Site, environment

# What a deploy and a rollback go through, in this order; each prints a line when it ends.
DEPLOY = (
    "connect",
    "build",
    "push",
    "collectstatic",
    "migrate",
    "start",
    "gate",
    "switch",
    "bake",
    "retire",
    "prune",
)
ROLLBACK = ("connect", "start", "gate", "switch", "bake", "retire")
LAST_WORDS = re.compile(r"^(?:done|failed)\s+[\d.]+ s\s+(\w+)")
END_SECONDS = 180.0
# Python, the inventory, and then the connection.
CONNECTING_SECONDS = 1.2


class Controller:
    """`invoke TASK` in the background; killed at the end of the block if it still runs."""

    def __init__(self, site: Site, task: str, *arguments: str) -> None:
        self._site = site
        self._argv = [str(BIN / "invoke"), task, *arguments, "--env", site.name]
        self._said: list[str] = []
        self._moments: dict[str, float] = {}
        self._news = threading.Condition()

    def __enter__(self) -> Self:
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            self._argv,
            cwd=self._site.clone,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Ctrl-C at the terminal of the tests is not meant for it.
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(timeout=10)

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            with self._news:
                self._said.append(line)
                if ended := LAST_WORDS.match(line):
                    self._moments[ended[1]] = time.monotonic()
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    @property
    def output(self) -> str:
        with self._news:
            return "".join(self._said)

    def until(self, phase: str, phases: tuple[str, ...] = DEPLOY) -> None:
        """Return when the controller is in that phase: the one before it has just ended."""
        place = phases.index(phase)
        if place == 0:
            time.sleep(CONNECTING_SECONDS)
        else:
            self.until_ended(phases[place - 1])

    def until_ended(self, phase: str) -> None:
        self._wait(lambda: phase in self._moments, f"the end of {phase}")

    def until_said(self, words: str) -> None:
        self._wait(lambda: any(words in line for line in self._said), repr(words))

    def _wait(self, happened: Callable[[], bool], what: str) -> None:
        with self._news:
            self._news.wait_for(lambda: happened() or self._ended(), timeout=END_SECONDS)
            assert happened(), f"waited in vain for {what}:\n{''.join(self._said)}"

    def _ended(self) -> bool:
        return not self._reader.is_alive()

    def seconds(self, phase: str) -> float:
        """From the command to the end of that phase."""
        return self._moments[phase] - self.begun

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def done(self, timeout: float = END_SECONDS) -> Done:
        """How it ended."""
        code = self.process.wait(timeout)
        self._reader.join(timeout=10)
        return Done(" ".join(self._argv[1:]), code, self.output, "")


def release_tool(site: Site) -> Identity | None:
    """The release tool that serves a controller on the droplet, as a process of this machine.

    Droplets are namespaces: from here it can be killed in the moment, with no round trip.
    """
    inside = set(network.inhabitants(site.name))
    tools = live(lambda argv: "/tools/" in " ".join(argv) and argv[-1] == "serve")
    return next((tool for tool in tools if tool.pid in inside), None)


def kill_release_tool(site: Site) -> None:
    tool = release_tool(site)
    assert tool, f"no release tool runs on {site.name}"
    tool.signal(signal.SIGKILL)
