"""The connection to a droplet. Nothing else in deploy/ touches the network."""

from __future__ import annotations

import getpass
import json
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import fabric
import paramiko

from deploy import commands
from deploy.errors import KINDS, NeedsYou, Refused, SlipwayError
from deploy.shipping import tool
from deploy.target import Target

CONNECT_SECONDS = 10
# The release tool is heard at least every 5 s (its heartbeat).
SILENCE_SECONDS = 30.0
KEEPALIVE_SECONDS = 5
CHUNK = 1 << 15
CANCEL = b"cancel\n"

Event = Callable[[dict[str, Any]], None]
Sent = Callable[[int], None]


def who() -> str:
    """Who is at the controller, for locks and the audit log."""
    return f"{getpass.getuser()}@{platform.node()}"


def attach(target: Target, argv: Sequence[str]) -> int:
    """Run a command on the droplet with this terminal, and return its exit code.

    Without a terminal at both ends its input and output are pipes, byte for byte.
    """
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    return subprocess.run(commands.ssh(target, argv, terminal)).returncode


class Session:
    """One conversation with the release tool: a single SSH channel for a whole deploy.

    The droplet's lock is held by the process at its other end, so it is free the moment that
    the connection is gone.

    Args:
        target: where to connect to.
        on_event: told about everything the release tool reports.
    """

    def __init__(self, target: Target, on_event: Event) -> None:
        self._target = target
        self._on_event = on_event
        self._connection = _connect(target)
        self._received = b""
        self._channel = self._execute(commands.serve(target, tool().digest))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._channel.close()
        self._connection.close()

    def open(
        self, command: str, lock: bool, wait: bool = False, recover: bool = True
    ) -> dict[str, Any]:
        """Begin; returns the droplet's facts (reading.facts on the host side).

        Args:
            command: what is going to be done, for the lock and the audit log.
            lock: keep others from deploying until the session ends.
            wait: wait for the lock instead of refusing.
            recover: with the lock, first put right what a killed run left behind.

        Raises:
            Refused: never provisioned, or somebody else holds the lock.
        """
        opening = {
            "who": who(),
            "command": command,
            "lock": lock,
            "wait": wait,
            "recover": recover,
        }
        try:
            # A shell that has no tool to start may be gone before it is written to.
            self._send(opening)
            facts: dict[str, Any] = self._result()
        except _ToolMissing:
            self._install_tool()
            self._send(opening)
            try:
                facts = self._result()
            except _ToolMissing:
                raise self._lost() from None
        return facts

    def call(self, do: str, args: Mapping[str, Any] | None = None, ended: bool = False) -> Any:
        """Run one operation of the release tool and return its result.

        Ctrl-C asks the droplet to back out, and waits until it has.

        Args:
            ended: Ctrl-C is how the operation ends, and nothing to speak of.

        Raises:
            SlipwayError: as the droplet reported it.
        """
        self._send({"do": do, **(args or {})})
        try:
            return self._result()
        except KeyboardInterrupt:
            if not ended:
                self._on_event({"phase": do, "note": "Ctrl-C: backing out"})
            self._write(CANCEL)
            return self._result()

    def push(self, manifest: bytes, pack: Callable[[list[str]], Path], sent: Sent) -> Any:
        """Push an artifact.

        Args:
            manifest: the artifact's compressed manifest.
            pack: makes a gzipped tar of the objects named, and returns its path.
            sent: told the bytes sent, as they go.
        """
        self._send({"do": "push", "bytes": len(manifest), "built_by": who()})
        self._write(manifest)
        sent(len(manifest))
        need = self._until("need")
        if need:
            path = pack(need)
            self._send({"bytes": path.stat().st_size})
            with path.open("rb") as file:
                while chunk := file.read(CHUNK):
                    self._write(chunk)
                    sent(len(chunk))
        return self._result()

    def plan(self, manifest: bytes, packages: Mapping[str, str]) -> dict[str, Any]:
        """Hold an artifact against what is on the droplet, which changes nothing.

        Args:
            manifest: the artifact's compressed manifest.
            packages: its packages, versions by name.
        """
        self._send({"do": "plan", "bytes": len(manifest), "packages": dict(packages)})
        self._write(manifest)
        return dict(self._result())

    def _install_tool(self) -> None:
        """Bring this version of the release tool to the droplet, and start it."""
        channel = self._execute(commands.install_tool(self._target, tool().digest))
        channel.sendall(tool().pack)
        channel.shutdown_write()
        said = channel.makefile("rb").read().decode(errors="replace")
        if commands.NOT_PROVISIONED in said:
            raise Refused(
                f"{self._target.name} was never provisioned for {self._target.app} "
                f"({self._target.root} is not there). Run: ansible-playbook site.yml"
            )
        if channel.recv_exit_status() != 0:
            problem = channel.makefile_stderr("rb").read().decode(errors="replace")
            raise Refused(
                f"The release tool cannot be put on {self._target.name}: {problem.strip()}"
            )
        self._channel = self._execute(commands.serve(self._target, tool().digest))

    def _execute(self, command: str) -> paramiko.Channel:
        transport = self._connection.transport
        transport.set_keepalive(KEEPALIVE_SECONDS)
        channel: paramiko.Channel = transport.open_session(timeout=CONNECT_SECONDS)
        channel.exec_command(command)
        channel.settimeout(SILENCE_SECONDS)
        return channel

    def _send(self, facts: dict[str, Any]) -> None:
        self._write(json.dumps(facts).encode() + b"\n")

    def _write(self, data: bytes) -> None:
        try:
            self._channel.sendall(data)
        except (OSError, paramiko.SSHException):
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
                data = self._channel.recv(CHUNK)
            except (TimeoutError, OSError):
                raise self._lost() from None
            if not data:
                return
            self._received += data

    def _lost(self) -> SlipwayError:
        said = b""
        while self._channel.recv_stderr_ready():
            said += self._channel.recv_stderr(CHUNK)
        return NeedsYou(
            f"The conversation with {self._target.name} broke off. The droplet finishes or backs "
            "out by itself. Look: invoke status",
            said.decode(errors="replace").splitlines(),
        )


class _ToolMissing(Exception):
    """The droplet does not have this version of the release tool."""


def _connect(target: Target) -> fabric.Connection:
    """A connection to a host whose key is known; Fabric itself would accept any.

    Raises:
        Refused: not reachable, a host key that is unknown or changed, or no way in.
    """
    options: dict[str, Any] = {}
    if target.identity_file:
        options["key_filename"] = str(Path(target.identity_file).expanduser())
    connection = fabric.Connection(
        target.host,
        user=target.user,
        port=target.port,
        connect_timeout=CONNECT_SECONDS,
        connect_kwargs=options,
    )
    known_hosts = Path(target.known_hosts or "~/.ssh/known_hosts").expanduser()
    client = connection.client
    client.set_missing_host_key_policy(_Unknown(target, known_hosts))
    for path in (Path("/etc/ssh/ssh_known_hosts"), known_hosts):
        if path.exists():
            client.load_system_host_keys(str(path))
    place = f"{target.name} ({target.user}@{target.host}:{target.port})"
    try:
        connection.open()
    except paramiko.BadHostKeyException as error:
        raise Refused(
            f"The host key of {place} is {_fingerprint(error.key)}, and {known_hosts} knows "
            f"{_fingerprint(error.expected_key)}. If the droplet was made anew, check that with "
            f"your provider's console and run: ssh-keygen -f {known_hosts} -R {target.host}"
        ) from None
    except paramiko.AuthenticationException:
        raise Refused(
            f"{place} does not let you in with your key. A new droplet is provisioned first: "
            "ansible-playbook site.yml; otherwise see user and identity_file of deploy_target"
        ) from None
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise Refused(
            f"{place} cannot be reached: {error}. Is it up, and is the address in "
            f"inventory/{target.environment}.yml right?"
        ) from None
    return connection


class _Unknown(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
    """Refuse a host that was never seen, with what is needed to check it."""

    def __init__(self, target: Target, known_hosts: Path) -> None:
        self._target = target
        self._known_hosts = known_hosts

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        raise Refused(
            f"The host key of {self._target.name} ({hostname}) is not known: {_fingerprint(key)}. "
            "Compare it with your provider's console (ssh-keygen -lf "
            f"/etc/ssh/ssh_host_ed25519_key.pub there), then run: ssh-keyscan -p "
            f"{self._target.port} {self._target.host} >> {self._known_hosts}"
        )


def _fingerprint(key: paramiko.PKey) -> str:
    return f"{key.get_name()} {key.fingerprint}"
