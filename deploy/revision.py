"""Revisions of the repository: what is asked for, and its source."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import Refused

FIELDS = "%H%x00%an%x00%s"


@dataclass(frozen=True)
class Revision:
    """A commit, and the tree of the project's folder in it."""

    commit: str
    tree: str
    project: str
    author: str
    subject: str

    @property
    def short(self) -> str:
        return self.commit[:7]


def resolve(root: Path, project: str, name: str | None) -> Revision:
    """The revision called ``name``, or HEAD of a clean work tree.

    Raises:
        Refused: no such revision, no project in it, or changes that are not committed.
    """
    if name is None:
        changed = _git(root, "status", "--porcelain").stdout.splitlines()
        if changed:
            raise Refused(
                f"The work tree has {len(changed)} changes that are not committed, and what is "
                "deployed has to be a commit. Commit them, or deploy without them: "
                "invoke deploy --revision HEAD",
                changed[:10],
            )
    wanted = name or "HEAD"
    found = _git(
        root, "log", "-1", f"--format={FIELDS}", "--end-of-options", f"{wanted}^{{commit}}", "--"
    )
    if found.returncode != 0:
        raise Refused(
            f"No revision {wanted} in {root}. Look: git log --oneline", found.stderr.splitlines()
        )
    commit, author, subject = found.stdout.strip("\n").split("\0")
    tree = _git(root, "rev-parse", "--verify", "--quiet", f"{commit}:{project}")
    if tree.returncode != 0:
        raise Refused(
            f"Revision {commit[:7]} has no folder {project}/ (site_project in the inventory)"
        )
    return Revision(commit, tree.stdout.strip(), project, author, subject)


def export(root: Path, revision: Revision, folder: Path) -> None:
    """Write the project's source at that revision to ``folder``."""
    archive = subprocess.run(
        ("git", "archive", "--format=tar", f"{revision.commit}:{revision.project}"),
        cwd=root,
        capture_output=True,
        check=True,
    ).stdout
    # The program, because the tarfile module of Debian 12 has no filter against odd members.
    subprocess.run(("tar", "-x", "-C", folder), input=archive, check=True)


def _git(root: Path, *args: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(("git", *args), cwd=root, capture_output=True, text=True)
    except FileNotFoundError:
        raise Refused("git is not installed. Run: apt-get install git") from None
