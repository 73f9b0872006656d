"""`git push droplet main`: what the pre-receive hook of the repository on the droplet runs.

Git hands it the pushed commit and shows what it says; an exit code but 0 rejects the push, so the
same commit can be pushed again.
"""

from __future__ import annotations

import base64
import getpass
import hashlib
import json
import os
import platform
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy import pipe, stages
from deploy.console import Console
from deploy.conversation import Request
from deploy.errors import NeedsYou, Refused, SlipwayError
from deploy.host.site import CONFIG_FOLDER, load
from deploy.sources import Source
from deploy.target import Target, parse

BRANCH = "main"
OPTIONS = ("allow-breaking", "wait")
NICENESS = 10
# From -1000 to 1000: how gladly the kernel takes this process when memory is short (proc(5)).
FIRST_TO_GO = "500"
# A small project's packages, for the droplet and for the build, and its static files.
BUILD_MB = 300
CACHE_BYTES = 1_000_000_000
LEFT_BEHIND_SECONDS = 86400


def main(argv: Sequence[str], facts: Path = CONFIG_FOLDER) -> int:
    """argv is the app's name; the working folder is the repository, as git runs its hooks."""
    console = Console()
    # Visitors first, in time as in memory.
    os.nice(NICENESS)
    Path("/proc/self/oom_score_adj").write_text(FIRST_TO_GO)
    # They tell where the pushed objects wait. What the project itself runs shall not find them.
    variables = {name: os.environ.pop(name) for name in list(os.environ) if name[:4] == "GIT_"}
    try:
        _back_out_when_gone(pushing())
        done = _deploy(argv[0], facts, variables, console)
        console.summary()
        console.result(stages.outcome(done), done)
    except SlipwayError as error:
        console.failure(error)
        return error.exit_code
    except KeyboardInterrupt:
        console.err.print("Interrupted. Look: invoke status")
        return NeedsYou.exit_code
    except (OSError, subprocess.CalledProcessError) as error:
        console.failure(NeedsYou(f"The push broke off: {error}. Look: invoke status"))
        return NeedsYou.exit_code
    return 0


def _deploy(
    app: str, facts: Path, variables: Mapping[str, str], console: Console
) -> dict[str, Any]:
    site, target = load(app, facts), read_target(app, facts)
    commit = pushed(sys.stdin.read().splitlines(), target.revision or BRANCH)
    given = options(variables)
    with _Builder(site.layout.builder, site.min_free_mb) as builder:
        request = Request(
            builder,
            target,
            "git push",
            revision=commit,
            wait="wait" in given,
            allow_breaking="allow-breaking" in given,
            source=Source(Path.cwd(), target.project, None, variables),
            who=pusher(os.environ.get("SSH_USER_AUTH"), Path.home()),
            connect=pipe.connected,
            ahead=False,
        )
        return stages.deploy(request, console)


def read_target(app: str, folder: Path) -> Target:
    """The target that is this droplet, as Ansible wrote it from the inventory.

    Raises:
        Refused: by an older inventory.
    """
    path = folder / f"{app}.json"
    return parse(platform.node(), json.loads(path.read_text()), str(path))


def pushed(lines: Sequence[str], branch: str) -> str:
    """The commit that is to go live.

    Args:
        lines: as git tells a pre-receive hook: ``OLD NEW REF``, one for each ref.
        branch: the one that is deployed.

    Raises:
        Refused: another branch or a tag, several at once, or a deletion.
    """
    if len(lines) != 1:
        raise Refused(
            f"{len(lines)} branches and tags came at once, and a deploy is of one branch. "
            f"Run: git push --no-follow-tags droplet {branch}"
        )
    _, commit, ref = lines[0].split(" ", 2)
    if ref != f"refs/heads/{branch}":
        name = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
        raise Refused(
            f"{name} is not deployed here, {branch} is (site_revision in the inventory). To deploy "
            f"it all the same run: git push --force droplet {name}^0:refs/heads/{branch}"
        )
    if not commit.strip("0"):
        raise Refused(
            f"{branch} is what is deployed here, and stays. To go back to an older release run: "
            "invoke rollback"
        )
    return commit


def options(variables: Mapping[str, str]) -> set[str]:
    """What was given with ``git push -o``.

    Raises:
        Refused: one that there is not.
    """
    count = int(variables.get("GIT_PUSH_OPTION_COUNT", "0"))
    given = {variables[f"GIT_PUSH_OPTION_{number}"] for number in range(count)}
    for option in sorted(given.difference(OPTIONS)):
        raise Refused(f"No push option {option}; there are: {', '.join(OPTIONS)}")
    return given


def pusher(told: str | None, home: Path) -> str:
    """Who pushes, for the lock and the audit log: the comment of their ssh key, or its fingerprint.

    Args:
        told: sshd's file on how they logged in, or None where no sshd let them in.
        home: holds the .ssh/authorized_keys that they came in by.
    """
    lines = Path(told).read_text().splitlines() if told else []
    for method, *words in map(str.split, lines):
        if method != "publickey":
            continue
        key = words[1]
        for entry in (home / ".ssh" / "authorized_keys").read_text().splitlines():
            before, found, comment = entry.partition(f" {key} ")
            if found and not before.startswith("#") and comment.strip():
                return comment.strip()
        digest = hashlib.sha256(base64.b64decode(key)).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"
    return f"{getpass.getuser()} on the droplet"


def pushing() -> list[int]:
    """The processes of this user that started this one: git, a shell, sshd for the session."""
    found, process = [], os.getppid()
    while process > 1:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        status = dict(line.split(":", 1) for line in lines)
        if int(status["Uid"].split()[0]) != os.getuid():
            break
        found.append(process)
        process = int(status["PPid"])
    return found


def _back_out_when_gone(processes: Sequence[int]) -> None:
    """Make it Ctrl-C here when one of the processes ends.

    Git tells its hooks neither of a Ctrl-C nor of a lost connection, and reads on what they say.
    """
    descriptors = [os.pidfd_open(process) for process in processes]
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def wait() -> None:
        select.select(descriptors, [], [])
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=wait, daemon=True).start()


class _Builder:
    """The folder in which builds are made and kept, and what grows there kept small."""

    def __init__(self, folder: Path, min_free_mb: int) -> None:
        self._folder = folder
        self._min_free_mb = min_free_mb

    def __enter__(self) -> Path:
        """Raises Refused where a build would fill the disk."""
        free = shutil.disk_usage(self._folder).free / 1e6
        needed = self._min_free_mb + BUILD_MB
        if free < needed:
            raise Refused(
                f"A build needs {needed:.0f} MB free under {self._folder}, and there are "
                f"{free:.0f} MB. Make room, or build on a controller: invoke deploy"
            )
        # /tmp may be memory, and may run no programs.
        self._temporary = tempfile.TemporaryDirectory(prefix="push-", dir=self._folder)
        os.environ["TMPDIR"] = tempfile.tempdir = self._temporary.name
        os.environ["UV_CACHE_DIR"] = str(self._folder / "uv")
        return self._folder

    def __exit__(self, *_: object) -> None:
        self._temporary.cleanup()
        for path in self._folder.glob("push-*"):
            if time.time() - path.stat().st_mtime > LEFT_BEHIND_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
        for grown in (self._folder / "uv", self._folder / ".slipway" / "cache" / "gzip"):
            if _size(grown) > CACHE_BYTES:
                shutil.rmtree(grown, ignore_errors=True)


def _size(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*"))
