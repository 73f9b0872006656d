"""A revision's source on this machine: what has not changed is taken over from an earlier export.

To write and read ten thousand files takes a second, and mostly few of them have changed.
"""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
from collections.abc import Container, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.artifact import listed_in, stamp, tree_of
from deploy.host import trees
from deploy.kept import kept, newest_first
from deploy.revision import GONE, Revision, changed_paths, export

# Folders of the cache: exports, and such as were laid out once more; in that of one its files, and
# what each of them is.
EXPORTS, SPARES = "exports", "spares"
PROJECT, LISTING = "project", "files"
# What says of other files how they are exported.
ATTRIBUTES = ".gitattributes"
# Where Python keeps bytecode.
CACHE = "__pycache__"
# Files that are asked of git by name; of more it is faster to ask for all.
FEW = 200

# Path -> the object name of a file, and behind it its stamp, as it was exported.
Listing = dict[str, str]


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
    listing = new[0] if new else _untouched(made)
    if not listing:
        shutil.rmtree(made)
        kept(place, make)
        listing = new[0]
    names = {path: known.partition(" ")[0] for path, known in listing.items()}
    return Export(made / PROJECT, names, made / LISTING)


def folder_of(cache: Path, tree: str) -> Path:
    """Where the source of a tree is, if it was exported."""
    return cache / EXPORTS / tree / PROJECT


def lay_spare(cache: Path, tree: str) -> None:
    """Lay an export out once more, for the revision after it, while nobody waits for it."""
    made = cache / EXPORTS / tree

    def make(draft: Path) -> None:
        project = draft / PROJECT
        project.mkdir()
        _link(made, {}, project)
        os.link(made / LISTING, draft / LISTING)

    # Another build may have just removed it; and nobody asked for this.
    with suppress(OSError, LookupError, ValueError, subprocess.SubprocessError):
        kept(cache / SPARES / tree, make)


def _listing(made: Path) -> Listing:
    return trees.parsed((made / LISTING).read_bytes())


def _untouched(made: Path) -> Listing:
    """The listing of an export, or nothing where the project has written into its own files."""
    try:
        listing = _listing(made)
    except (OSError, ValueError):
        # Of before there was this listing.
        return {}
    inside = f"{made}/{PROJECT}/"
    whole = all(_is_as_exported(f"{inside}{path}", known) for path, known in listing.items())
    return listing if whole else {}


def _is_as_exported(path: str, known: str, follow: bool = True) -> bool:
    """Whether the file is still the one that was listed.

    Args:
        follow: False for what is to be taken over: what a symbolic link leads to may be another
            by now, so it is another always.
    """
    try:
        # Ten thousand times: no place for Path.
        return known.endswith(f" {stamp(os.stat(path, follow_symlinks=follow))}")  # noqa: PTH116
    except OSError:
        return False


def _export(revision: Revision, draft: Path) -> Listing:
    """Write the source and its listing to a draft; returns the listing."""
    project = draft / PROJECT
    project.mkdir()
    listing, new = _taken_over(revision, draft)
    if not listing:
        export(revision, project)
        new = listed_in(project)
    for path, name in tree_of(project, new).items():
        listing[path] = f"{name} {stamp((project / path).stat())}"
    (draft / LISTING).write_bytes(trees.text(listing))
    return listing


def _taken_over(revision: Revision, draft: Path) -> tuple[Listing, list[str]]:
    """Write the source with what an export used lately has of it.

    Returns:
        The listing of the files that were taken over, and the paths of those that were not;
        without any, nothing was written.
    """
    project = draft / PROJECT
    for sibling in newest_first(draft):
        changed = changed_paths(revision, sibling.name)
        # None: of another repository.
        if changed is None or len(changed) > FEW:
            continue
        if any(path.endswith(ATTRIBUTES) for path in changed):
            continue
        spare = sibling.parents[1] / SPARES / sibling.name
        try:
            linked, others = _of_spare(spare, changed, project) or _link(sibling, changed, project)
        except (OSError, ValueError):
            # Another build has just removed it.
            _empty(project)
            continue
        if len(others) <= FEW:
            if others:
                export(revision, project, others)
            return linked, [path for path in others if _counts(project / path)]
        _empty(project)
    return {}, []


def _counts(path: Path) -> bool:
    """Not, if attributes keep it out, or it is a repository of its own: an empty folder here."""
    return path.suffix != ".pyc" and (path.is_symlink() or path.is_file())


def _of_spare(
    spare: Path, changed: Mapping[str, str], project: Path
) -> tuple[Listing, list[str]] | None:
    """As :func:`_link`, but with what is laid out already; None where there is none."""
    try:
        (spare / PROJECT).rename(project)
    except OSError:
        return None
    listing = _listing(spare)
    shutil.rmtree(spare)
    linked: Listing = {}
    others = _to_export(changed)
    target = str(project)
    for path, known in listing.items():
        if path not in changed and _is_as_exported(f"{target}/{path}", known, follow=False):
            linked[path] = known
            continue
        _remove(project, path)
        if path not in changed:
            others.append(path)
    return linked, others


def _to_export(changed: Mapping[str, str]) -> list[str]:
    return [path for path, how in changed.items() if how != GONE]


def _remove(project: Path, path: str) -> None:
    """Remove a file, its bytecode, and folders that are empty then: Python could import those."""
    file = project / path
    cache = file.parent / CACHE
    for one in (file, *cache.glob(f"{glob.escape(file.stem)}.*")):
        one.unlink(missing_ok=True)
    for folder in (cache, *file.parents):
        if folder == project:
            break
        # It is not empty, or was never there.
        with suppress(OSError):
            folder.rmdir()


def _link(sibling: Path, changed: Mapping[str, str], project: Path) -> tuple[Listing, list[str]]:
    """Link what is as it was exported, and the bytecode of that.

    They are hard links: git and Python replace files, and never write into them.

    Args:
        changed: path -> how it differs, as git says it.

    Returns:
        The listing of what was linked, and the paths to be exported.
    """
    linked: Listing = {}
    others = _to_export(changed)
    modules: dict[str, set[str]] = {}
    # Thousands of times: no place for Path.
    source, target = str(sibling / PROJECT), str(project)
    for path, known in _listing(sibling).items():
        if path in changed:
            continue
        if not _is_as_exported(f"{source}/{path}", known, follow=False):
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
