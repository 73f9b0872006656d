"""An artifact: trees of object names, and where each object's bytes are."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.collection import Collection
from deploy.errors import Refused
from deploy.host import project_files
from deploy.host.assets import name as listing_name
from deploy.host.changes import SBOM, packages_of
from deploy.host.objects import below
from deploy.kept import kept
from deploy.packing import object_name, pack
from deploy.revision import Revision
from deploy.target import Platform

if TYPE_CHECKING:
    from importlib.metadata import PackagePath

# Object names of the packages, beside them: thousands of files need not be read at each build.
TREE = ".tree.json"
# Folders of the cache: packages by their lock, listings of a project's files by their name.
PACKAGES, FILES = "packages", "files"
OTHER_TREES = ("assets", "judge", "sbom", "venv")
# Reads migrations on the droplet, where the database is; it is no part of the project.
JUDGE = ("django-migration-linter", "appdirs", "toml")
# Device, inode, time of change, size and mode.
Stamp = tuple[int, int, int, int, int]
# A file's path in a folder, and what the folder says of it.
Entry = tuple[str, os.DirEntry[str]]
# Object name -> the path of a file with that content.
Places = Mapping[str, str]


@dataclass(frozen=True)
class Packages:
    """The packages of a lock, unpacked for the droplet in ``folder``."""

    cache: Path
    lock: str
    folder: Path

    def compressed_manifest(self, locks: Sequence[str]) -> bytes:
        """What the droplet is told of them; ``locks`` are those that it has."""
        tree = _packages_tree(self.folder)
        beside, differs = _beside(self.cache, tree, locks)
        named = {name for name in differs.values() if name}
        told = {
            "lock": self.lock,
            "venv_of": beside,
            "venv": differs,
            "sizes": _sizes(named, places((self.folder, tree))),
        }
        return zlib.compress(json.dumps(told).encode())

    def pack(self, names: Iterable[str]) -> Iterator[bytes]:
        """A gzipped tar of the named objects, in pieces."""
        found = places((self.folder, _packages_tree(self.folder)))
        return pack((name, Path(found[name])) for name in names)


@dataclass(frozen=True)
class Artifact:
    """A built revision: trees of object names, and where each object's bytes are.

    ``digest`` is of what would run, not of who built it: equal digests are equal releases.
    ``cache`` keeps what earlier builds were made of.
    """

    revision: Revision
    source: Path
    digest: str
    manifest: Mapping[str, Any]
    blobs: Places
    warnings: tuple[str, ...]
    cache: Path

    @property
    def size(self) -> int:
        """Bytes of all objects together."""
        return sum(_sizes(self.blobs, self.blobs).values())

    @property
    def packages(self) -> dict[str, str]:
        """The locked packages: versions by name."""
        listed = Path(self.blobs[self.manifest["sbom"][SBOM]])
        return packages_of(json.loads(listed.read_text()))

    def compressed_manifest(self, facts: Mapping[str, Any]) -> bytes:
        """What the droplet is told.

        Args:
            facts: its own; packages of the locks that it has, and the files and the listing of
                static files that its live release has, are left out.
        """
        told = {**self.manifest, "listing": listing_name(self.manifest["assets"])}
        if told["lock"] in facts["locks"]:
            told["venv"] = {}
        else:
            beside, differs = _beside(self.cache, self.manifest["venv"], facts["locks"])
            told["venv_of"], told["venv"] = beside, differs
        if told["listing"] == facts["listing"]:
            told["assets"] = {}
        told["differs_from"], told["differs"] = self._files_beside(facts["files"])
        if told["differs_from"]:
            told |= {tree: {} for tree in project_files.TREES}
        trees = (told[tree] for tree in (*project_files.TREES, "differs", *OTHER_TREES))
        named = {name for tree in trees for name in tree.values() if name}
        told["sizes"] = _sizes(named, self.blobs)
        return zlib.compress(json.dumps(told).encode())

    def remember(self) -> None:
        """Keep the list of its files: of the next artifact only what differs is told."""
        project = project_files.joined(self.manifest)
        kept(self.cache / FILES / listing_name(project), partial(_list, project))

    def _files_beside(self, live: str) -> tuple[str, dict[str, str | None]]:
        """The name of the live release's files, or "" if they are not known, and what differs."""
        known = self.cache / FILES / live / TREE
        if not live or not known.exists():
            return "", {}
        base: dict[str, str] = json.loads(known.read_text())
        return live, project_files.differing(project_files.joined(self.manifest), base)

    def pack(self, names: Iterable[str]) -> Iterator[bytes]:
        """A gzipped tar of the named objects, in pieces."""
        return pack((name, Path(self.blobs[name])) for name in names)


def places(*trees: tuple[Path, Mapping[str, str]]) -> dict[str, str]:
    """Where the objects are that these folders' files, by path and name, are made of."""
    # Once for each folder: pathlib makes a text of a path anew each time.
    told = ((str(folder), tree) for folder, tree in trees)
    return {name: f"{folder}/{path}" for folder, tree in told for path, name in tree.items()}


def _sizes(names: Iterable[str], found: Places) -> dict[str, int]:
    """Bytes of objects, by their names."""
    return {name: Path(found[name]).stat().st_size for name in names}


def _beside(
    cache: Path, whole: Mapping[str, str], locks: Sequence[str]
) -> tuple[str, dict[str, str | None]]:
    """The lock of the droplet whose packages are most like these, or "", and what differs from it.

    A path that is not there any more has the name None.
    """
    nearest: tuple[str, dict[str, str | None]] = "", dict(whole)
    for lock in locks:
        known = cache / PACKAGES / lock / TREE
        if known.exists():
            tree: dict[str, str] = json.loads(known.read_text())
            differs = project_files.differing(whole, tree)
            nearest = min(nearest, (lock, differs), key=lambda one: len(one[1]))
    return nearest


def assemble(
    cache: Path,
    revision: Revision,
    source: Path,
    app: Mapping[str, str],
    packages: Path,
    listed: Path,
    collection: Collection,
    facts: Mapping[str, Any],
    lock: str,
    droplet: Platform,
) -> Artifact:
    """Name every file of a build by its content.

    Args:
        source: the exported revision, ``app`` its files by path and name; packages, listed (the
            SBOM) and collection: made of it.
        facts: what the project said of itself (deploy/in_project.py).
    """
    whole = dict(app)
    for path, name in collection.manifest.items():
        place = Path(facts["static_root"]).resolve().relative_to(source.resolve())
        whole[str(place / path)] = name
    trees = {
        "app": whole,
        "static": collection.static,
        "assets": collection.assets,
        "venv": _packages_tree(packages),
    }
    sbom = tree_of(listed)
    found = ((str(path), Path(path.locate())) for path in _judge_files())
    judge = {path: (object_name(place), place) for path, place in found}
    blobs = {
        **places((source, app), (packages, trees["venv"]), (listed, sbom), *collection.trees),
        **{name: str(place) for name, place in judge.values()},
    }
    # Without the twins: every zlib squeezes the same file in its own way.
    digest = digest_of([json.dumps(trees, sort_keys=True), lock, droplet.python])
    manifest = {
        **trees,
        "assets": {**collection.assets, **collection.twins},
        "judge": {path: name for path, (name, _) in judge.items()},
        "sbom": sbom,
        "revision": revision.commit,
        "subject": revision.subject,
        "author": revision.author,
        "artifact": digest,
        "lock": lock,
        "python": droplet.python,
        "migrations": facts["migrations"],
        "static_url": facts["static_url"],
        "processes": facts["processes"],
    }
    return Artifact(revision, source, digest, manifest, blobs, (), cache)


def _list(tree: Mapping[str, str], folder: Path) -> None:
    (folder / TREE).write_text(json.dumps(tree))


def _judge_files() -> list[PackagePath]:
    """django-migration-linter and what it needs beside Django, as they are installed here."""
    # Here, because it is slow to import.
    from importlib import metadata

    files = (file for name in JUDGE for file in metadata.distribution(name).files or ())
    return [file for file in files if file.suffix == ".py"]


def _packages_tree(packages: Path) -> dict[str, str]:
    """The packages' object names, as they were when they were installed."""
    return dict(json.loads((packages / TREE).read_text()))


def stamp(found: os.stat_result) -> Stamp:
    """What tells a file from others and from itself once it has been written to."""
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode


def listed_in(folder: Path) -> list[Entry]:
    """The files of a folder with their paths in it, but bytecode."""
    return [
        (name, entry)
        for name, entry in below(folder)
        if not entry.is_dir(follow_symlinks=False) and not name.endswith(".pyc")
    ]


def tree_of(
    folder: Path, files: Iterable[Entry] | None = None, names: Mapping[Stamp, str] | None = None
) -> dict[str, str]:
    """Path -> object name of the files of a folder.

    Args:
        files: those that count, as they were listed; None are all.
        names: of files that need not be read, by their stamps.

    Raises:
        Refused: a link leads out of the folder, or to no file.
    """
    tree = {}
    for name, entry in listed_in(folder) if files is None else files:
        path = Path(entry.path)
        if entry.is_symlink():
            leads = path.resolve()
            if not leads.is_relative_to(folder.resolve()) or not leads.is_file():
                raise Refused(
                    f"{name} is a link to {path.readlink()}, which is no file of the project. "
                    "Commit what it leads to instead"
                )
        known = names.get(stamp(path.stat())) if names else None
        tree[name] = known or object_name(path)
    return tree


def digest_of(parts: Iterable[str]) -> str:
    """A name for texts in an order; equal texts, equal name."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
