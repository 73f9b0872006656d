"""Revisions of the repository: what is asked for, and its source."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.errors import Refused

FIELDS = "%H%x00%an%x00%s"
# Which side of `git log OLD...NEW` a commit is on.
OLD_SIDE = "<"
# What `git diff-tree` says of a file that is not there any more.
GONE = "D"


@dataclass(frozen=True)
class Revision:
    """A commit of a repository, and the tree of the project's folder in it.

    ``variables`` are git's own, to find what is not in the repository yet.
    """

    repository: Path
    commit: str
    tree: str
    project: str
    author: str
    subject: str
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def short(self) -> str:
        return self.commit[:7]


def resolve(root: Path, project: str, name: str | None, **variables: str) -> Revision:
    """The revision called ``name``, or HEAD of a clean work tree.

    Args:
        root: the repository.
        project: a folder in it, "." for all of it.
        variables: as :class:`Revision` has them.

    Raises:
        Refused: no such revision, no project in it, or changes that are not committed.
    """
    if name is None:
        changed = git(root, "status", "--porcelain").stdout.splitlines()
        if changed:
            raise Refused(
                f"The work tree has {len(changed)} changes that are not committed, and what is "
                "deployed has to be a commit. Commit them, or deploy without them: "
                "invoke deploy --revision HEAD",
                changed[:10],
            )
    wanted = name or "HEAD"
    shown = ("log", "-1", f"--format={FIELDS}", "--end-of-options", f"{wanted}^{{commit}}", "--")
    found = git(root, *shown, **variables)
    if found.returncode != 0:
        raise Refused(
            f"No revision {wanted} in {root}. Look: git log --oneline", found.stderr.splitlines()
        )
    commit, author, subject = found.stdout.strip("\n").split("\0")
    folder = "" if project == "." else project
    tree = git(root, "rev-parse", "--verify", "--quiet", f"{commit}:{folder}", **variables)
    if tree.returncode != 0:
        raise Refused(
            f"Revision {commit[:7]} has no folder {project}/ (site_project in the inventory)"
        )
    return Revision(root, commit, tree.stdout.strip(), project, author, subject, variables)


@dataclass(frozen=True)
class Commit:
    """One commit, as `git log` tells it."""

    commit: str
    author: str
    subject: str

    def __str__(self) -> str:
        return f"{self.commit[:7]}  {self.subject} ({self.author})"


@dataclass(frozen=True)
class Commits:
    """Commits between two revisions, newest first; ``gone`` are those that only the older has."""

    new: tuple[Commit, ...] = ()
    gone: tuple[Commit, ...] = ()


def between(repository: Path, project: str, old: str, new: str) -> Commits | None:
    """The commits of the project's folder from one revision to another.

    None when the repository does not know both.
    """
    order = ("log", f"--format=%m%x00{FIELDS}", "--left-right", "--end-of-options")
    found = git(repository, *order, f"{old}...{new}", "--", project)
    if found.returncode != 0:
        return None
    sides: dict[bool, list[Commit]] = {True: [], False: []}
    for line in found.stdout.splitlines():
        side, commit, author, subject = line.split("\0")
        sides[side == OLD_SIDE].append(Commit(commit, author, subject))
    return Commits(tuple(sides[False]), tuple(sides[True]))


def changed_paths(revision: Revision, old: str) -> dict[str, str] | None:
    """The project's files that differ between another tree of it and this revision's.

    Each with how, as git says it (GONE and others). None when the repository does not know that
    tree.
    """
    differ = ("diff-tree", "-r", "-z", "--no-renames", "--name-status", old, revision.tree)
    found = git(revision.repository, *differ, **revision.variables)
    if found.returncode != 0:
        return None
    told = found.stdout.split("\0")[:-1]
    return dict(zip(told[1::2], told[::2], strict=True))


def export(revision: Revision, folder: Path, paths: Iterable[str] = ()) -> None:
    """Write the project's source at that revision to ``folder``, or these files of it alone."""
    archive = ("git", "archive", "--format=tar", revision.tree, "--", *paths)
    with subprocess.Popen(
        archive,
        cwd=revision.repository,
        env={**os.environ, **revision.variables, "GIT_LITERAL_PATHSPECS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as git_archive:
        # The program, because the tarfile module of Debian 12 has no filter against odd members.
        subprocess.run(("tar", "-x", "-C", folder), stdin=git_archive.stdout, check=True)
    if git_archive.returncode != 0:
        raise subprocess.CalledProcessError(git_archive.returncode, archive)


def git(root: Path, *args: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run git in a folder, with more variables in its environment.

    Raises:
        Refused: there is no git.
    """
    environment = {**os.environ, **variables}
    try:
        return subprocess.run(
            ("git", *args), cwd=root, env=environment, capture_output=True, text=True
        )
    except FileNotFoundError:
        raise Refused("git is not installed. Run: apt-get install git") from None
