"""The way to a droplet: an ssh connection that stays open from one command to the next."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path

from deploy import commands
from deploy.pipe import Process
from deploy.session import Channel, Start
from deploy.shipping import tool
from deploy.target import Target

# From one try to the next of whoever works on a site.
KEPT_SECONDS = 300
CONNECT_SECONDS = 5
# Until a shell has said its first word, over a connection that may be dead by now.
WORD_SECONDS = 10
# Together the silence that a conversation bears: deploy.session.SILENCE_SECONDS.
ALIVE_SECONDS, ALIVE_COUNT = 5, 6


def begun(target: Target) -> Callable[[Target], AbstractContextManager[Start]]:
    """:func:`connected` for a target whose release tool is being started from now on.

    What its caller imports and looks up meanwhile takes no time. A release tool that is asked
    nothing ends when this process does.
    """
    line = commands.serve(target, tool().digest)
    return partial(connected, ahead={line: _begin(target, line)})


@contextmanager
def connected(
    target: Target, ahead: MutableMapping[str, Process | None] | None = None
) -> Iterator[Start]:
    """Starts commands on a droplet, each with a channel of its own.

    Starting one raises Refused: not reachable, a host key that is unknown or changed, or no way in.

    Args:
        ahead: commands that have begun already, by their lines.
    """
    with ExitStack() as stack:
        fabric: list[Start] = []

        def start(line: str) -> Channel:
            if ahead and line in ahead:
                return _Begun(ahead.pop(line), partial(_leads, target), partial(by_fabric, line))
            process = None if fabric else _begin(target, line)
            return process if process and _leads(target, process) else by_fabric(line)

        def by_fabric(line: str) -> Channel:
            if not fabric:
                # Here, because Fabric takes a third of a second to import.
                from deploy import runner

                fabric.append(stack.enter_context(runner.connected(target)))
            return fabric[0](line)

        yield start


def attach(target: Target, argv: Sequence[str]) -> int:
    """Run a command on the droplet with this terminal, and return its exit code.

    Without a terminal at both ends its input and output are pipes, byte for byte.
    """
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    return subprocess.run(commands.ssh(target, argv, terminal, more=[_at(target)])).returncode


def _begin(target: Target, line: str) -> Process | None:
    """Start a line of shell over the connection that is kept, which is made if there is none.

    Returns:
        None when there is no OpenSSH.
    """
    options = (
        *("BatchMode=yes", "ControlMaster=auto", f"ControlPersist={KEPT_SECONDS}"),
        f"ConnectTimeout={CONNECT_SECONDS}",
        *(f"ServerAliveInterval={ALIVE_SECONDS}", f"ServerAliveCountMax={ALIVE_COUNT}"),
        _at(target),
    )
    try:
        # The empty line says that somebody is there.
        return Process(commands.ssh(target, ("/bin/sh", "-c", f"echo; {line}"), more=options))
    except OSError:
        return None


def _leads(target: Target, process: Process) -> bool:
    """Whether it runs on the droplet; otherwise OpenSSH finds no way in, and nothing has begun."""
    try:
        if process.first(WORD_SECONDS) == b"\n":
            return True
    except TimeoutError:
        # Others may still be talking over it: it only takes nobody new.
        program, *words = commands.ssh(target, (), more=[_at(target)])
        subprocess.run((program, "-Ostop", *words), capture_output=True)
    process.end_now()
    return False


class _Begun:
    """A channel that is spoken to before it is known whether it leads to the droplet.

    From far away that is known a round trip later. If it does not, what was said is said again over
    another one.
    """

    def __init__(
        self,
        process: Process | None,
        leads: Callable[[Process], bool],
        otherwise: Callable[[], Channel],
    ) -> None:
        self._process, self._leads, self._otherwise = process, leads, otherwise
        self._said = b""
        self._found: Channel | None = None

    def send(self, data: bytes) -> None:
        if self._found:
            self._found.send(data)
            return
        self._said += data
        try:
            if self._process:
                self._process.send(data)
        except OSError:
            self._channel()

    def receive(self) -> bytes:
        return self._channel().receive()

    def end(self) -> None:
        self._channel().end()

    def code(self) -> int:
        return self._channel().code()

    def complaint(self) -> str:
        return self._channel().complaint()

    def close(self) -> None:
        known = self._found or self._process
        if known:
            known.close()

    def _channel(self) -> Channel:
        if self._found is None:
            if self._process and self._leads(self._process):
                self._found = self._process
            else:
                self._process = None
                self._found = self._otherwise()
                self._found.send(self._said)
        return self._found


def _at(target: Target) -> str:
    """The option that says where the kept connection of a target listens.

    Whoever changes known_hosts, or the key to log in with, means another connection.
    """
    known_hosts = Path(target.known_hosts or "~/.ssh/known_hosts").expanduser()
    means = [target.user, target.host, str(target.port), target.identity_file]
    digest = hashlib.sha256("\0".join(means).encode())
    if known_hosts.exists():
        digest.update(known_hosts.read_bytes())
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or "~/.ssh").expanduser()
    folder.mkdir(mode=0o700, exist_ok=True)
    return f"ControlPath={folder}/slipway-{digest.hexdigest()[:16]}"
