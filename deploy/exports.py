"""A revision's source on this machine: what has not changed is taken over from an earlier export.

To write and read ten thousand files takes a second, and mostly few of them have changed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.artifact import listed_in, stamp, tree_of
from deploy.kept import kept, newest_first
from deploy.revision import GONE, Revision, changed_paths, export

# A folder of the cache; in that of an export its files, and what each of them is.
EXPORTS = "exports"
PROJECT, LISTING = "project", "files.json"
# What says of other files how they are exported.
ATTRIBUTES = ".gitattributes"
# Where Python keeps bytecode.
CACHE = "__pycache__"
# Files that are asked of git by name; of more it is faster to ask for all.
FEW = 200

# Path -> the object name of a file, and behind it its stamp, as it was exported.
Listing = dict[str, list[Any]]


@dataclass(frozen=True)
class Export:
    """The project's source in ``folder``, its files by path and object name, and their listing.

    They are as git has them, whatever the project wrote there since.
    """

    folder: Path
    files: Mapping[str, str]
    listing: Path


def exported(cache: Path, revision: Revision) -> Export:
    """The source of a revision.

    Raises:
        Refused: a link leads out of the project, or to no file.
    """
    place = cache / EXPORTS / revision.tree
    new: list[Listing] = []

    def make(draft: Path) -> None:
        new.append(_export(revision, draft))

    made = kept(place, make)
    listing = new[0] if new else _listing(made)
    if not new and any(
        _stamp(f"{made}/{PROJECT}/{path}") != known for path, (_, *known) in listing.items()
    ):
        # The project has written into its own files.
        shutil.rmtree(made)
        kept(place, make)
        listing = new[0]
    names = {path: name for path, (name, *_) in listing.items()}
    return Export(made / PROJECT, names, made / LISTING)


def folder_of(cache: Path, tree: str) -> Path:
    """Where the source of a tree is, if it was exported."""
    return cache / EXPORTS / tree / PROJECT


def _listing(made: Path) -> Listing:
    listing: Listing = json.loads((made / LISTING).read_text())
    return listing


def _stamp(path: str) -> list[int] | None:
    try:
        return [*stamp(Path(path).stat())]
    except FileNotFoundError:
        return None


def _export(revision: Revision, draft: Path) -> Listing:
    """Write the source and its listing to a draft; returns the listing."""
    project = draft / PROJECT
    project.mkdir()
    listing = _taken_over(revision, draft)
    if not listing:
        export(revision, project)
    new = [entry for entry in listed_in(project) if entry[0] not in listing]
    for path, name in tree_of(project, new).items():
        listing[path] = [name, *stamp((project / path).stat())]
    (draft / LISTING).write_text(json.dumps(listing))
    return listing


def _taken_over(revision: Revision, draft: Path) -> Listing:
    """Write the source with what an export used lately has of it.

    Returns:
        The listing of the files that were taken over; without any, nothing was written.
    """
    project = draft / PROJECT
    for sibling in newest_first(draft):
        changed = changed_paths(revision, sibling.name)
        # None: of another repository.
        if changed is None or len(changed) > FEW:
            continue
        if any(path.endswith(ATTRIBUTES) for path in changed):
            continue
        try:
            linked, others = _link(sibling, changed, project)
        except (OSError, ValueError):
            # Another build has just removed it.
            _empty(project)
            continue
        if len(others) <= FEW:
            if others:
                export(revision, project, others)
            return linked
        _empty(project)
    return {}


def _link(sibling: Path, changed: Mapping[str, str], project: Path) -> tuple[Listing, list[str]]:
    """Link what is as it was exported, and the bytecode of that.

    They are hard links: git and Python replace files, and never write into them.

    Args:
        changed: path -> how it differs, as git says it.

    Returns:
        The listing of what was linked, and the paths to be exported.
    """
    linked: Listing = {}
    others = [path for path, how in changed.items() if how != GONE]
    modules: dict[str, set[str]] = {}
    # Thousands of times: no place for Path.
    source, target = str(sibling / PROJECT), str(project)
    for path, known in _listing(sibling).items():
        if path in changed:
            continue
        # A symbolic link is another one always: what it leads to may have changed.
        if [*stamp(os.lstat(f"{source}/{path}"))] != known[1:]:
            others.append(path)
            continue
        folder, _, file = path.rpartition("/")
        if folder not in modules:
            modules[folder] = set()
            Path(target, folder).mkdir(parents=True, exist_ok=True)
        os.link(f"{source}/{path}", f"{target}/{path}")
        linked[path] = known
        if file.endswith(".py"):
            modules[folder].add(file.removesuffix(".py"))
    for folder, found in modules.items():
        _link_bytecode(Path(source, folder) / CACHE, found, Path(target, folder) / CACHE)
    return linked, others


def _link_bytecode(source: Path, modules: Container[str], target: Path) -> None:
    """Bytecode tells the time of its source, which has stayed."""
    if not modules or not source.is_dir():
        return
    target.mkdir()
    for path in source.iterdir():
        if path.name.partition(".")[0] in modules:
            (target / path.name).hardlink_to(path)


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
