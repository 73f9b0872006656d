"""The host that is audited: a shell on it as root, and what the inventory says of it."""

from __future__ import annotations

import atexit
import shlex
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import testinfra
from testinfra.host import Host

from audits.errors import AuditError
from deploy.target import Target

CONNECT_SECONDS = 10


# One subject is never another: what was read of it can be kept by it.
@dataclass(frozen=True, eq=False)
class Subject:
    """``host`` runs commands as root over one ssh connection; ``root`` is the repository."""

    host: Host
    target: Target
    root: Path

    def ask(self, command: str) -> str:
        """Standard output of a line of shell, without its last newline.

        Raises:
            AuditError: it ended with another status than 0.
        """
        done = self.host.run(command)
        if done.rc != 0:
            said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
            raise AuditError(f"`{command}` ended with {done.rc} on {self.target.name}: {said}")
        return str(done.stdout.rstrip("\r\n"))


def connect(target: Target, root: Path) -> Subject:
    """A subject whose host key is known; the connection is made by the first command.

    Ansible's user needs root, or sudo without a password.
    """
    # Not below the repository: the path of a unix socket holds 107 bytes.
    sockets = tempfile.mkdtemp(prefix="slipway-")
    atexit.register(shutil.rmtree, sockets, ignore_errors=True)
    options = ["-o StrictHostKeyChecking=yes", "-o BatchMode=yes", "-o LogLevel=ERROR"]
    options.append(f"-o ConnectTimeout={CONNECT_SECONDS}")
    if target.known_hosts:
        known_hosts = Path(target.known_hosts).expanduser()
        options.append(f"-o UserKnownHostsFile={shlex.quote(str(known_hosts))}")
    if target.identity_file:
        options.append("-o IdentitiesOnly=yes")
    host = testinfra.get_host(
        f"ssh://{target.admin}@{target.host}:{target.port}",
        ssh_identity_file=str(Path(target.identity_file).expanduser())
        if target.identity_file
        else None,
        ssh_extra_args=" ".join(options),
        # testinfra formats it once more.
        controlpath=f"{sockets}/%%C",
        sudo=target.admin != "root",
    )
    return Subject(host, target, root)
