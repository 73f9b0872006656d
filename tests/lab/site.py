"""A droplet of the tests, and a clone of the repository that provisions it and deploys to it."""

import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import paths

ROOT = Path(__file__).resolve().parent.parent.parent
ARTIFACTS = ROOT / "artifacts"
BIN = Path(sys.executable).parent
# Before the names of the droplets of a run beside another one, from another clone.
PREFIX = os.environ.get("SLIPWAY_TEST_PREFIX", "")


@dataclass(frozen=True)
class Done:
    """What a command said, and how it ended."""

    command: str
    code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    def __str__(self) -> str:
        return f"$ {self.command}\n{self.output}exit {self.code}"


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, the certificate it came under (as ssl reports it) included."""

    status: int
    headers: http.client.HTTPMessage
    body: str
    certificate: dict[str, Any]


def run(*argv: str, cwd: Path | None = None, timeout: float = 600) -> Done:
    """Run a program of .venv or the system; never raises for its exit code."""
    done = subprocess.run(
        argv,
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return Done(" ".join(argv), done.returncode, done.stdout, done.stderr)


def environment() -> dict[str, str]:
    """The caller's, without what would change the tools' output or choose another droplet."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE_", "SLIPWAY_", "PYTEST_"))
    }
    return {**kept, "PATH": f"{BIN}:{os.environ['PATH']}", "NO_COLOR": "1"}


@dataclass(frozen=True)
class Site:
    """The droplet `name`, and the work tree in `clone` whose inventory/<name>.yml leads to it."""

    name: str
    suite: str
    address: str
    clone: Path

    @property
    def domain(self) -> str:
        return f"{self.name}.slipway.test"

    # --- the controller ---

    def play(self, *arguments: str, env: str = "", log: str = "") -> Done:
        """ansible-playbook site.yml against the droplet; artifacts/LOG.log keeps what it says."""
        inventory = f"inventory/{env or self.name}.yml"
        done = run("ansible-playbook", "-i", inventory, "site.yml", *arguments, cwd=self.clone)
        if log:
            ARTIFACTS.mkdir(exist_ok=True)
            (ARTIFACTS / f"{log}.log").write_text(f"{done}\n")
        return done

    def invoke(self, task: str, *arguments: str, env: str = "", words: Sequence[str] = ()) -> Done:
        """A task with its options; ``words`` are what follows two dashes."""
        after = ("--", *words) if words else ()
        options = (*arguments, "--env", env or self.name, *after)
        return run("invoke", task, *options, cwd=self.clone)

    def start(self, task: str, *arguments: str, session: bool = False) -> subprocess.Popen[str]:
        """The same, left running; with ``session`` what it starts can be killed with it."""
        return subprocess.Popen(
            [str(BIN / "invoke"), task, *arguments, "--env", self.name],
            cwd=self.clone,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=session,
        )

    def json(self, task: str, code: int = 0) -> Any:
        done = self.invoke(task, "--json")
        assert done.code == code, done
        return json.loads(done.stdout)

    def git(self, *arguments: str) -> str:
        done = run("git", *arguments, cwd=self.clone)
        assert done.code == 0, done
        return done.stdout.strip()

    def commit(self, changes: dict[str, str], message: str) -> str:
        """Write the files (path -> content), commit, and return the new revision's short hash."""
        for name, content in changes.items():
            (self.clone / name).write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "--short", "HEAD")

    # --- the droplet ---

    def ssh(self, command: str, user: str = "root") -> Done:
        """Run a line of shell on the droplet."""
        options = [
            *("-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"),
            *("-o", "ConnectTimeout=10", "-o", f"UserKnownHostsFile={paths.KNOWN_HOSTS}"),
        ]
        return run("ssh", *options, "-i", str(paths.SSH_KEY), f"{user}@{self.address}", command)

    def ask(self, command: str) -> str:
        """Standard output of a line of shell that must succeed."""
        done = self.ssh(command)
        assert done.code == 0, done
        return done.stdout.strip()

    # --- the visitor ---

    def get(self, path: str = "/", host: str = "", **headers: str) -> Answer:
        """GET over HTTPS, the certificate verified against the lab's ACME root."""
        context = ssl.create_default_context(cafile=str(paths.ACME_ROOT))
        name = host or self.domain
        with (
            socket.create_connection((self.address, 443), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=name) as secure,
        ):
            # Before the answer, which may close the connection.
            certificate = secure.getpeercert() or {}
            connection = http.client.HTTPConnection(name)
            connection.sock = secure
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            body = response.read().decode(errors="replace")
            return Answer(response.status, response.headers, body, certificate)

    def release(self) -> str:
        """Id of the release that answers visitors; it must answer well."""
        answer = self.get()
        assert answer.status == 200, answer
        return str(answer.headers["X-Release"])

    def wait_until_up(self, seconds: float) -> float:
        """Seconds until the site answered 200; fails when it took longer than `seconds`."""
        begun = time.monotonic()
        problem = ""
        while time.monotonic() - begun < seconds:
            try:
                answer = self.get()
                if answer.status == 200:
                    return time.monotonic() - begun
                problem = f"HTTP {answer.status}"
            except OSError as error:
                problem = str(error)
            time.sleep(0.5)
        raise AssertionError(f"{self.domain} did not answer within {seconds} s: {problem}")


def until(check: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for something to be so; fails when it is not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.3)


def clone_work_tree(target: Path) -> None:
    """A repository of its own with the files of this work tree as they are now, not committed yet.

    A clone of HEAD would test what was, not what is being written.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    for arguments in (
        ("init", "--quiet", "--initial-branch=main"),
        ("config", "user.name", "Lab"),
        ("config", "user.email", "lab@slipway.test"),
    ):
        subprocess.run(["git", *arguments], cwd=target, check=True)
