"""A connection by Fabric, which says what is wrong where there is none."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fabric
import paramiko
from paramiko.ssh_exception import NoValidConnectionsError

from deploy.errors import Refused
from deploy.session import CHUNK, SILENCE_SECONDS, Start
from deploy.target import Target

# Its threads log tracebacks; what they mean is told here.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
CONNECT_SECONDS = 10
KEEPALIVE_SECONDS = 5


@contextmanager
def connected(target: Target) -> Iterator[Start]:
    """One connection; each command has a channel of its own in it.

    Raises:
        Refused: not reachable, a host key that is unknown or changed, or no way in.
    """
    connection = _connect(target)
    try:
        yield lambda command: _Channel(connection, command)
    finally:
        connection.close()


class _Channel:
    """A :class:`deploy.session.Channel` over ssh."""

    def __init__(self, connection: fabric.Connection, command: str) -> None:
        transport = connection.transport
        transport.set_keepalive(KEEPALIVE_SECONDS)
        self._ssh: paramiko.Channel = transport.open_session(timeout=CONNECT_SECONDS)
        self._ssh.exec_command(command)
        self._ssh.settimeout(SILENCE_SECONDS)

    def send(self, data: bytes) -> None:
        try:
            self._ssh.sendall(data)
        except paramiko.SSHException as error:
            raise OSError(str(error)) from None

    def receive(self) -> bytes:
        return bytes(self._ssh.recv(CHUNK))

    def end(self) -> None:
        self._ssh.shutdown_write()

    def code(self) -> int:
        return int(self._ssh.recv_exit_status())

    def complaint(self) -> str:
        said = b""
        while self._ssh.recv_stderr_ready():
            said += self._ssh.recv_stderr(CHUNK)
        return said.decode(errors="replace")

    def close(self) -> None:
        self._ssh.close()


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
            f"{place} cannot be reached: {_why(error)}. Is it up, and is the address in "
            f"inventory/{target.environment}.yml right? Look: invoke doctor"
        ) from None
    return connection


def _why(error: Exception) -> str:
    """Of the addresses that were tried the first one's error, in the system's words."""
    if isinstance(error, NoValidConnectionsError):
        error = next(iter(error.errors.values()))
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


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
