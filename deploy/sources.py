"""Where the project's source is: this repository, another one, or a folder."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from deploy.errors import Refused
from deploy.revision import Revision, git, resolve

# ssh's short form, user@host:path, and everything with a scheme.
REMOTE = re.compile(r"[\w.-]+@[\w.-]+:.+|[a-z][a-z0-9+.-]*://.+")
WHOLE = "."


@dataclass(frozen=True)
class Source:
    """A git repository, the project's folder in it ("." is all of it), and what is deployed of it.

    ``revision`` None is HEAD of a clean work tree; ``variables`` are as those of a Revision.
    """

    repository: Path
    project: str
    revision: str | None
    variables: Mapping[str, str] = field(default_factory=dict)

    def at(self, name: str | None) -> Revision:
        """The revision called ``name``, or the one that the inventory names.

        Raises:
            Refused: as :func:`deploy.revision.resolve`.
        """
        return resolve(self.repository, self.project, name or self.revision, **self.variables)


def find(root: Path, source: str, project: str, revision: str) -> Source:
    """The source that the inventory names.

    Args:
        root: this repository.
        source: "" for this repository, an address that git clones from, or a folder, which need
            not be a repository.
        project: folder of the Django project in it.
        revision: what is deployed unless a command says otherwise; "" is the newest.

    Raises:
        Refused: there is nothing, or git cannot fetch it.
    """
    if not source:
        return Source(root, project, revision or None)
    copies = root / ".slipway" / "sources"
    if REMOTE.fullmatch(source):
        return Source(_mirror(source, copies), project, revision or "HEAD")
    folder = _folder(root, source)
    if not folder.is_dir():
        raise Refused(
            f"site_source is {source}, and {folder} is no folder. Put a folder or an address that "
            "git clones from into the inventory"
        )
    part = _part(folder, project)
    if part:
        return Source(*part, revision or None)
    return Source(_snapshot(folder, copies), project, "HEAD")


def known(root: Path, source: str, project: str) -> tuple[Path, str] | None:
    """The repository of a source as it is on this machine, and the project's folder in it.

    Nothing is fetched; None when nothing ever was.
    """
    if not source:
        return root, project
    name = source
    if not REMOTE.fullmatch(source):
        folder = _folder(root, source)
        part = _part(folder, project) if folder.is_dir() else None
        if part:
            return part
        name = str(folder)
    copy = _copy(root / ".slipway" / "sources", name)
    return (copy, project) if copy.exists() else None


def _folder(root: Path, source: str) -> Path:
    return (root / Path(source).expanduser()).resolve()


def _part(folder: Path, project: str) -> tuple[Path, str] | None:
    """The repository that the folder is in, and the project's place there; None without one."""
    top = git(folder, "rev-parse", "--show-toplevel")
    if top.returncode != 0:
        return None
    repository = Path(top.stdout.strip())
    return repository, str(folder.relative_to(repository.resolve()) / project)


def _mirror(address: str, copies: Path) -> Path:
    """A bare copy of a remote repository, brought up to date."""
    if urlsplit(address).password:
        raise Refused(
            "site_source holds a password, which anybody who reads the inventory would see. Use an "
            "ssh address and a deploy key, or git's credential store"
        )
    copy = _copy(copies, address)
    if not copy.exists():
        copies.mkdir(parents=True, exist_ok=True)
        done = _fetch(copies, "clone", "--quiet", "--mirror", "--", address, str(copy))
    else:
        done = _fetch(copy, "fetch", "--quiet", "--prune", "origin")
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["no output"]
        raise Refused(
            f"git cannot fetch {address} (site_source in the inventory): {said[-1]}", said[-10:]
        )
    return copy


def _snapshot(folder: Path, copies: Path) -> Path:
    """A folder that is no repository, as the one commit of a repository beside it."""
    copy = _copy(copies, str(folder))
    git(folder, "init", "--quiet", "--bare", str(copy))
    place = ("--git-dir", str(copy), "--work-tree", str(folder))
    who = ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost")
    for argv in (
        (*place, "add", "--all"),
        (*place, *who, "commit", "--quiet", "--allow-empty", "--message", f"Files of {folder}"),
    ):
        done = git(folder, *argv)
        if done.returncode != 0:
            said = done.stderr.strip().splitlines() or ["no output"]
            raise Refused(f"The files of {folder} cannot be read by git: {said[-1]}", said[-10:])
    return copy


def _copy(copies: Path, name: str) -> Path:
    return copies / f"{hashlib.sha256(name.encode()).hexdigest()[:12]}.git"


def _fetch(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """git, which asks nobody for a password."""
    ssh = os.environ.get("GIT_SSH_COMMAND", "ssh")
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": f"{ssh} -o BatchMode=yes"}
    return git(folder, *args, **quiet)
