"""An artifact: trees of object names, and where each object's bytes are."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deploy.collection import Collection
from deploy.errors import Refused
from deploy.host import project_files, trees
from deploy.host.changes import SBOM, packages_of
from deploy.host.objects import below
from deploy.kept import kept
from deploy.packing import object_name, pack
from deploy.revision import Revision
from deploy.target import Platform

# Object names of the packages, beside them: thousands of files need not be read at each build.
TREE = ".tree.json"
# The project's own files, as they are named in a release.
LISTED = "tree"
# Folders of the cache: packages by their lock, listings of a project's files by their name.
PACKAGES, FILES = "packages", "files"
OTHER_TREES = ("assets", "judge", "sbom", "venv")
# Reads migrations on the droplet, where the database is; it is no part of the project.
JUDGE = ("django_migration_linter", "appdirs", "toml")
# A folder, and its files by path and object name.
Origin = tuple[Path, Mapping[str, str]]


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
            "sizes": _sizes(places(named, (self.folder, tree))),
        }
        return zlib.compress(json.dumps(told).encode())

    def pack(self, names: Iterable[str]) -> Iterator[bytes]:
        """A gzipped tar of the named objects, in pieces."""
        return _pack(names, (self.folder, _packages_tree(self.folder)))


@dataclass(frozen=True)
class Artifact:
    """A built revision: trees of object names, and the folders with the objects' bytes.

    ``digest`` is of what would run, not of who built it: equal digests are equal releases.
    ``project`` are the project's own files, and ``named`` their name. ``cache`` keeps what earlier
    builds were made of.
    """

    revision: Revision
    source: Path
    digest: str
    manifest: Mapping[str, Any]
    project: Mapping[str, str]
    named: str
    origins: tuple[Origin, ...]
    warnings: tuple[str, ...]
    cache: Path

    @property
    def objects(self) -> set[str]:
        """The names of all objects."""
        return {name for _, tree in self.origins for name in tree.values()}

    @property
    def size(self) -> int:
        """Bytes of all objects together."""
        return sum(_sizes(places(self.objects, *self.origins)).values())

    @property
    def packages(self) -> dict[str, str]:
        """The locked packages: versions by name."""
        name = self.manifest["sbom"][SBOM]
        listed = Path(places({name}, *self.origins)[name])
        return packages_of(json.loads(listed.read_text()))

    def compressed_manifest(self, facts: Mapping[str, Any]) -> bytes:
        """What the droplet is told.

        Args:
            facts: its own; packages of the locks that it has, and the files and the listing of
                static files that its live release has, are left out.
        """
        told = dict(self.manifest)
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
        told["sizes"] = _sizes(places(named, *self.origins))
        return zlib.compress(json.dumps(told).encode())

    def remember(self) -> None:
        """Keep the list of its files, as it went live: of the next only what differs is told."""
        kept(self.cache / FILES / self.named, partial(_list, self.project))

    def _files_beside(self, live: str) -> tuple[str, dict[str, str | None]]:
        """The name of the live release's files, or "" if they are not known, and what differs."""
        try:
            base = trees.parsed((self.cache / FILES / live / LISTED).read_bytes())
        except (OSError, ValueError):
            # A power failure may have left half of it.
            return "", {}
        return live, project_files.differing(self.project, base)

    def pack(self, names: Iterable[str]) -> Iterator[bytes]:
        """A gzipped tar of the named objects, in pieces."""
        return _pack(names, *self.origins)


def places(names: Container[str], *origins: Origin) -> dict[str, str]:
    """Object name -> the path of a file with that content."""
    # Once for each folder: pathlib makes a text of a path anew each time.
    told = ((str(folder), tree) for folder, tree in origins)
    return {
        name: f"{folder}/{path}"
        for folder, tree in told
        for path, name in tree.items()
        if name in names
    }


def _pack(names: Iterable[str], *origins: Origin) -> Iterator[bytes]:
    wanted = [*names]
    found = places({*wanted}, *origins)
    return pack((name, Path(found[name])) for name in wanted)


def _sizes(found: Mapping[str, str]) -> dict[str, int]:
    """Bytes of objects, by their names, of what :func:`places` found."""
    return {name: Path(place).stat().st_size for name, place in found.items()}


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
    told = {"app": whole, "static": collection.static}
    project = project_files.joined(told)
    named = trees.name(project)
    # Without the twins: every zlib squeezes the same file in its own way. What packages there are,
    # the lock says.
    digest = digest_of([named, collection.named, lock, droplet.python])
    venv, sbom, judge = _packages_tree(packages), tree_of(listed), [*_judge_files()]
    manifest = {
        **told,
        "assets": {**collection.assets, **collection.twins},
        "listing": collection.listing,
        "venv": venv,
        "judge": {path: name for _, tree in judge for path, name in tree.items()},
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
    origins = ((source, app), (packages, venv), (listed, sbom), *collection.trees, *judge)
    return Artifact(revision, source, digest, manifest, project, named, origins, (), cache)


def _list(tree: Mapping[str, str], folder: Path) -> None:
    (folder / LISTED).write_bytes(trees.text(tree))


def _judge_files() -> Iterator[Origin]:
    """django-migration-linter and what it needs beside Django, as they are installed here."""
    for name in JUDGE:
        found = find_spec(name)
        if found is None or found.origin is None:
            raise Refused(
                f"The package {name} is not installed here. Run: pip install -r requirements.txt"
            )
        module = Path(found.origin)
        folder = module.parent
        if found.submodule_search_locations:
            files, folder = sorted(folder.rglob("*.py")), folder.parent
        else:
            files = [module]
        yield folder, {str(path.relative_to(folder)): object_name(path) for path in files}


def _packages_tree(packages: Path) -> dict[str, str]:
    """The packages' object names, as they were when they were installed."""
    return dict(json.loads((packages / TREE).read_text()))


def stamp(found: os.stat_result) -> str:
    """What tells a file from others and from itself once it has been written to."""
    return f"{found.st_dev} {found.st_ino} {found.st_mtime_ns} {found.st_size} {found.st_mode}"


def listed_in(folder: Path) -> list[str]:
    """Paths of the files of a folder, but bytecode."""
    return [
        name
        for name, entry in below(folder)
        if not entry.is_dir(follow_symlinks=False) and not name.endswith(".pyc")
    ]


def tree_of(
    folder: Path, files: Iterable[str] | None = None, names: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Path -> object name of the files of a folder.

    Args:
        files: paths of those that count; None are all.
        names: of files that need not be read, by their stamps.

    Raises:
        Refused: a link leads out of the folder, or to no file.
    """
    tree = {}
    for name in listed_in(folder) if files is None else files:
        path = folder / name
        if path.is_symlink():
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
