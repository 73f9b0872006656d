"""The conversation with the release tool, whatever it goes through."""

from __future__ import annotations

import getpass
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol, Self

from deploy import commands
from deploy.errors import KINDS, NeedsYou, Refused, SlipwayError
from deploy.host.wire import LENGTH_BYTES
from deploy.shipping import tool
from deploy.target import Target

# The release tool is heard at least every 5 s (its heartbeat).
SILENCE_SECONDS = 30.0
CHUNK = 1 << 15
CANCEL = b"cancel\n"

Event = Callable[[dict[str, Any]], None]
Sent = Callable[[int], None]
Pack = Callable[[list[str]], Iterable[bytes]]


class Channel(Protocol):
    """A command that runs on the droplet: its input, its output, how it ended."""

    def send(self, data: bytes) -> None:
        """Raises OSError when it is gone."""

    def receive(self) -> bytes:
        """What it says next; b"" once it says no more. Raises OSError after SILENCE_SECONDS."""

    def end(self) -> None:
        """There is no more input."""

    def code(self) -> int:
        """Its exit code, once it has ended."""

    def complaint(self) -> str:
        """What it wrote to standard error so far."""

    def close(self) -> None: ...


# Starts a line of shell on the droplet, as the deploy user.
Start = Callable[[str], Channel]


def who() -> str:
    """Who is at the controller, for locks and the audit log."""
    return f"{getpass.getuser()}@{os.uname().nodename}"


class Session:
    """One conversation with the release tool: a single channel for a whole deploy.

    The droplet's lock is held by the process at its other end, so it is free the moment that
    the channel is gone.

    Args:
        target: whose release tool it is.
        start: starts commands there.
        who: is at this end, for locks and the audit log.
        on_event: told about everything the release tool reports.
    """

    def __init__(self, target: Target, start: Start, who: str, on_event: Event) -> None:
        self._target = target
        self._start = start
        self._who = who
        self._on_event = on_event
        self._received = b""
        self._asked: deque[str] = deque()
        self._channel = start(commands.serve(target, tool().digest))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._channel.close()

    def open(
        self,
        command: str,
        lock: bool,
        wait: bool = False,
        recover: bool = True,
        then: Iterable[str] = (),
    ) -> dict[str, Any]:
        """Begin; returns the droplet's facts (reading.ahead on the host side).

        Args:
            command: what is going to be done, for the lock and the audit log.
            lock: keep others from deploying until the session ends.
            wait: wait for the lock instead of refusing.
            recover: with the lock, first put right what a killed run left behind.
            then: operations that are asked for in the same breath, as of :meth:`ask`.

        Raises:
            Refused: never provisioned, or somebody else holds the lock.
        """
        opening = {
            "who": self._who,
            "command": command,
            "lock": lock,
            "wait": wait,
            "recover": recover,
        }
        try:
            # A shell that has no tool to start may be gone before it is written to.
            return self._opened(opening, then)
        except _ToolMissing:
            self._install_tool()
            try:
                return self._opened(opening, then)
            except _ToolMissing:
                raise self._lost() from None

    def _opened(self, opening: dict[str, Any], then: Iterable[str]) -> dict[str, Any]:
        self._send(opening)
        self._asked.clear()
        for do in then:
            self.ask(do)
        return dict(self._result())

    def ask(self, do: str, args: Mapping[str, Any] | None = None) -> None:
        """Send what :meth:`call` will be asked next, so that the droplet need not wait for it.

        Operations that fail end the conversation, and those after them are not begun.
        """
        self._send({"do": do, **(args or {})})
        self._asked.append(do)

    def call(self, do: str, args: Mapping[str, Any] | None = None, ended: bool = False) -> Any:
        """Run one operation of the release tool and return its result.

        Ctrl-C asks the droplet to back out, and waits until it has.

        Args:
            ended: Ctrl-C is how the operation ends, and nothing to speak of.

        Raises:
            SlipwayError: as the droplet reported it.
        """
        if not self._was_asked(do):
            self._send({"do": do, **(args or {})})
        try:
            return self._result()
        except KeyboardInterrupt:
            if not ended:
                self._on_event({"phase": do, "note": "Ctrl-C: backing out"})
            self._write(CANCEL)
            return self._result()

    def _was_asked(self, do: str = "") -> bool:
        """Whether it is answered next. Answers that nobody wants any more are passed over."""
        while self._asked:
            if self._asked.popleft() == do:
                return True
            self._result()
        return False

    def push(self, manifest: bytes, pack: Pack, sent: Sent) -> Any:
        """Push an artifact.

        Args:
            manifest: the artifact's compressed manifest.
            pack: the pieces of a gzipped tar of the objects named.
            sent: told the bytes sent, as they go.
        """
        return self._bring({"do": "push", "built_by": self._who}, manifest, pack, sent)

    def begin(self, manifest: bytes, pack: Pack, sent: Sent) -> Any:
        """Push an artifact that is only expected: it starts, and waits to be sealed."""
        return self._bring({"do": "begin", "built_by": self._who}, manifest, pack, sent)

    def packages(self, manifest: bytes, pack: Pack, sent: Sent) -> None:
        """Bring the packages of an artifact before the rest of it is built; as :meth:`push`."""
        self._bring({"do": "packages"}, manifest, pack, sent)

    def _bring(self, command: dict[str, Any], manifest: bytes, pack: Pack, sent: Sent) -> Any:
        self._was_asked()
        self._send({**command, "bytes": len(manifest)})
        self._write(manifest)
        sent(len(manifest))
        need = self._until("need")
        if need:
            for piece in pack(need):
                self._write(len(piece).to_bytes(LENGTH_BYTES, "big"))
                for begin in range(0, len(piece), CHUNK):
                    chunk = piece[begin : begin + CHUNK]
                    self._write(chunk)
                    sent(len(chunk))
            self._write(bytes(LENGTH_BYTES))
        return self._result()

    def plan(self, manifest: bytes, packages: Mapping[str, str]) -> dict[str, Any]:
        """Hold an artifact against what is on the droplet, which changes nothing.

        Args:
            manifest: the artifact's compressed manifest.
            packages: its packages, versions by name.
        """
        self._was_asked()
        self._send({"do": "plan", "bytes": len(manifest), "packages": dict(packages)})
        self._write(manifest)
        return dict(self._result())

    def _install_tool(self) -> None:
        """Bring this version of the release tool to the droplet, and start it."""
        channel = self._start(commands.install_tool(self._target, tool().digest))
        # A shell that refuses does not read it.
        with suppress(OSError):
            channel.send(tool().pack)
            channel.end()
        said = b"".join(iter(channel.receive, b"")).decode(errors="replace")
        if commands.NOT_PROVISIONED in said:
            raise Refused(
                f"{self._target.name} was never provisioned for {self._target.app} "
                f"({self._target.root} is not there). Run: ansible-playbook site.yml"
            )
        if channel.code() != 0:
            raise Refused(
                f"The release tool cannot be put on {self._target.name}: "
                f"{channel.complaint().strip()}"
            )
        self._channel = self._start(commands.serve(self._target, tool().digest))

    def _send(self, facts: dict[str, Any]) -> None:
        self._write(json.dumps(facts).encode() + b"\n")

    def _write(self, data: bytes) -> None:
        try:
            self._channel.send(data)
        except TimeoutError:
            # Nobody takes it any more: to wait for words as well would double the silence.
            raise self._lost() from None
        except OSError:
            # What the tool said before it went says why.
            self._result()
            raise self._lost() from None

    def _result(self) -> Any:
        return self._until("result")

    def _until(self, key: str) -> Any:
        for facts in self._facts():
            if "error" in facts:
                error = facts["error"]
                raise KINDS[error["kind"]](error["message"], error["detail"])
            if key in facts:
                return facts[key]
            self._on_event(facts)
        raise self._lost()

    def _facts(self) -> Iterator[dict[str, Any]]:
        while True:
            while b"\n" in self._received:
                line, self._received = self._received.split(b"\n", 1)
                if line == commands.TOOL_MISSING.encode():
                    raise _ToolMissing
                yield json.loads(line)
            try:
                data = self._channel.receive()
            except OSError:
                raise self._lost() from None
            if not data:
                return
            self._received += data

    def _lost(self) -> SlipwayError:
        return NeedsYou(
            f"The conversation with {self._target.name} broke off. The droplet finishes or backs "
            "out by itself. Look: invoke status",
            self._channel.complaint().splitlines(),
        )


class _ToolMissing(Exception):
    """The droplet does not have this version of the release tool."""
