"""The runner: the only place where the lab starts a program and waits for it."""

import os
import subprocess
from dataclasses import dataclass

from lab.errors import LabError

# ip, nft and dnsmasq live in sbin, which the PATH of a plain `su` lacks.
SEARCH_PATH = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"


@dataclass(frozen=True)
class Result:
    """What a program said: exit code, standard output, standard error."""

    code: int
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        return self.code == 0


def environment() -> dict[str, str]:
    """The caller's environment, with sbin in PATH and messages in English."""
    return {**os.environ, "PATH": SEARCH_PATH, "LC_ALL": "C.UTF-8"}


def dies_with_parent(argv: tuple[str, ...]) -> tuple[str, ...]:
    """argv whose process is killed when the one that starts it dies, however that dies."""
    return ("setpriv", "--pdeathsig", "KILL", "--", *argv)


def run(*argv: str, warn: bool = False, stdin: str = "", timeout: float | None = 120) -> Result:
    """Run argv and return its Result; raise LabError if it fails, unless `warn`.

    `timeout` is in seconds; None waits for ever.
    """
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            env=environment(),
            timeout=timeout,
            # What lands in an image or a droplet must not depend on the caller's habits.
            umask=0o022,
            check=False,
        )
    except FileNotFoundError:
        raise LabError(
            f"{argv[0]} is not installed. What the lab needs is in lab/packages.txt"
        ) from None
    except subprocess.TimeoutExpired:
        raise LabError(
            f"{argv[0]} gave no answer within {timeout:.0f} s: {' '.join(argv)}"
        ) from None
    result = Result(done.returncode, done.stdout, done.stderr)
    if not result.ok and not warn:
        said = (result.stderr.strip() or result.stdout.strip() or "nothing").splitlines()[0]
        raise LabError(f"`{' '.join(argv)}` failed with exit code {result.code}: {said}")
    return result
