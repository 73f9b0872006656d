"""An artifact: trees of object names, and where each object's bytes are."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.errors import Refused
from deploy.host import project_files
from deploy.host.assets import name as listing_name
from deploy.host.changes import SBOM, packages_of
from deploy.host.objects import below
from deploy.host.objects import digest as content_digest
from deploy.kept import kept
from deploy.packing import pack
from deploy.revision import Revision
from deploy.target import Platform

if TYPE_CHECKING:
    from importlib.metadata import PackagePath

COMPRESSED_SUFFIXES = (".css", ".js", ".mjs", ".svg", ".html", ".json", ".txt", ".xml", ".map")
COMPRESSED_FROM_BYTES = 500
# Object names of the packages, beside them: thousands of files need not be read at each build.
TREE = ".tree.json"
# Folders of the cache: packages by their lock, listings of a project's files by their name.
PACKAGES, FILES = "packages", "files"
OTHER_TREES = ("assets", "judge", "sbom", "venv")
# Reads migrations on the droplet, where the database is; it is no part of the project.
JUDGE = ("django-migration-linter", "appdirs", "toml")
# Device, inode, time of change, size and mode.
Stamp = tuple[int, int, int, int, int]


@dataclass(frozen=True)
class Packages:
    """The packages of a lock, unpacked for the droplet in ``folder``."""

    cache: Path
    lock: str
    folder: Path

    def compressed_manifest(self, locks: Sequence[str]) -> bytes:
        """What the droplet is told of them; ``locks`` are those that it has."""
        blobs: dict[str, Path] = {}
        beside, differs = _beside(self.cache, _packages_tree(self.folder, blobs), locks)
        named = {name for name in differs.values() if name}
        told = {
            "lock": self.lock,
            "venv_of": beside,
            "venv": differs,
            "sizes": {name: blobs[name].stat().st_size for name in named},
        }
        return zlib.compress(json.dumps(told).encode())

    def pack(self, names: Iterable[str]) -> Iterator[bytes]:
        """A gzipped tar of the named objects, in pieces."""
        blobs: dict[str, Path] = {}
        _packages_tree(self.folder, blobs)
        return pack((name, blobs[name]) for name in names)


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
    blobs: Mapping[str, Path]
    warnings: tuple[str, ...]
    cache: Path

    @property
    def size(self) -> int:
        """Bytes of all objects together."""
        return sum(self.manifest["sizes"].values())

    @property
    def packages(self) -> dict[str, str]:
        """The locked packages: versions by name."""
        listed = self.blobs[self.manifest["sbom"][SBOM]]
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
        told["sizes"] = {name: told["sizes"][name] for name in named}
        return zlib.compress(json.dumps(told).encode())

    def _files_beside(self, live: str) -> tuple[str, dict[str, str | None]]:
        """The name of the live release's files, or "" if they are not known, and what differs."""
        known = self.cache / FILES / live / TREE
        if not live or not known.exists():
            return "", {}
        base: dict[str, str] = json.loads(known.read_text())
        return live, project_files.differing(project_files.joined(self.manifest), base)

    def pack(self, names: Iterable[str]) -> Iterator[bytes]:
        """A gzipped tar of the named objects, in pieces."""
        return pack((name, self.blobs[name]) for name in names)


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
    packages: Path,
    listed: Path,
    collected: Path,
    facts: Mapping[str, Any],
    lock: str,
    droplet: Platform,
    warnings: tuple[str, ...],
) -> Artifact:
    """Name every file of a build by its content.

    Args:
        cache: where compressed twins of static files are kept.
        source: the exported revision; packages, listed (the SBOM) and collected: made of it.
        facts: what the project said of itself (deploy/in_project.py).
    """
    blobs: dict[str, Path] = {}
    files = collected / "files"
    known = collected / TREE
    names: dict[str, str] = json.loads(known.read_text()) if known.exists() else names_of(files)
    app = tree_of(source, blobs)
    if facts["manifest"]:
        place = Path(facts["static_root"]).resolve().relative_to(source.resolve())
        app[str(place / facts["manifest"])] = names[facts["manifest"]]
        blobs[names[facts["manifest"]]] = files / facts["manifest"]
        del names[facts["manifest"]]
    hashed = set(facts["hashed"])
    assets, static, twins = {}, {}, {}
    for name, named in names.items():
        blobs.setdefault(named, files / name)
        if name.removesuffix(".gz").removesuffix(".br") not in hashed:
            static[name] = named
            continue
        assets[name] = named
        squeezed = None if f"{name}.gz" in names else _compressed(cache, files / name, named)
        if squeezed:
            twins[f"{name}.gz"] = _object(squeezed, blobs)
    trees = {
        "app": app,
        "static": static,
        "assets": assets,
        "venv": _packages_tree(packages, blobs),
    }
    judge = {str(path): _object(Path(path.locate()), blobs) for path in _judge_files()}
    # Without the twins: every zlib squeezes the same file in its own way.
    digest = digest_of([json.dumps(trees, sort_keys=True), lock, droplet.python])
    manifest = {
        **trees,
        "assets": assets | twins,
        "judge": judge,
        "sbom": tree_of(listed, blobs),
        "revision": revision.commit,
        "subject": revision.subject,
        "author": revision.author,
        "artifact": digest,
        "lock": lock,
        "python": droplet.python,
        "migrations": facts["migrations"],
        "static_url": facts["static_url"],
        "processes": facts["processes"],
        "sizes": {name: path.stat().st_size for name, path in blobs.items()},
    }
    project = project_files.joined(manifest)
    kept(cache / FILES / listing_name(project), partial(_list, project))
    return Artifact(revision, source, digest, manifest, blobs, warnings, cache)


def _list(tree: Mapping[str, str], folder: Path) -> None:
    (folder / TREE).write_text(json.dumps(tree))


def _judge_files() -> list[PackagePath]:
    """django-migration-linter and what it needs beside Django, as they are installed here."""
    # Here, because it is slow to import.
    from importlib import metadata

    files = (file for name in JUDGE for file in metadata.distribution(name).files or ())
    return [file for file in files if file.suffix == ".py"]


def _packages_tree(packages: Path, blobs: dict[str, Path]) -> dict[str, str]:
    """The packages' object names, as they were when they were installed."""
    tree: dict[str, str] = json.loads((packages / TREE).read_text())
    for path, name in tree.items():
        blobs.setdefault(name, packages / path)
    return tree


def names_of(folder: Path) -> dict[str, str]:
    """Path -> object name of every file, a link's being that of the file it leads to."""
    return {name: _object(Path(entry.path), {}) for name, entry in below(folder) if entry.is_file()}


def stamp(path: Path) -> Stamp:
    """What tells a file from others and from itself once it has been written to."""
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode


def tree_of(
    folder: Path, blobs: dict[str, Path], names: Mapping[Stamp, str] | None = None
) -> dict[str, str]:
    """Path -> object name of every file but bytecode; ``blobs`` gets where each object is.

    Args:
        names: of files that need not be read, by their stamps.

    Raises:
        Refused: a link leads out of the folder, or to no file.
    """
    tree = {}
    for name, entry in below(folder):
        if entry.is_dir(follow_symlinks=False) or name.endswith(".pyc"):
            continue
        path = Path(entry.path)
        if entry.is_symlink():
            leads = path.resolve()
            if not leads.is_relative_to(folder.resolve()) or not leads.is_file():
                raise Refused(
                    f"{name} is a link to {path.readlink()}, which is no file of the project. "
                    "Commit what it leads to instead"
                )
        known = names.get(stamp(path)) if names else None
        if known:
            blobs.setdefault(known, path)
        tree[name] = known or _object(path, blobs)
    return tree


def _object(path: Path, blobs: dict[str, Path]) -> str:
    name = content_digest(path)
    if os.access(path, os.X_OK):
        name += "x"
    blobs.setdefault(name, path)
    return name


def _compressed(cache: Path, path: Path, name: str) -> Path | None:
    """The gzipped twin of a file for Nginx's gzip_static, or None when it saves little."""
    size = path.stat().st_size
    if path.suffix not in COMPRESSED_SUFFIXES or size < COMPRESSED_FROM_BYTES:
        return None
    twin = cache / "gzip" / name
    if not twin.exists():
        twin.parent.mkdir(parents=True, exist_ok=True)
        draft = twin.with_name(f".{name}.{os.getpid()}")
        draft.write_bytes(gzip.compress(path.read_bytes(), compresslevel=9, mtime=0))
        draft.rename(twin)
    return twin if twin.stat().st_size < size * 0.95 else None


def digest_of(parts: Iterable[str]) -> str:
    """A name for texts in an order; equal texts, equal name."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
