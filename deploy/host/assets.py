"""What releases say that they are made of, and the listing of their hashed static files.

That listing is kept by its own digest. It can be long and is mostly that of the release before:
then it is neither sent nor read again.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from deploy.host import objects
from deploy.host.layout import Layout
from deploy.host.objects import Tree
from deploy.host.release import Release, current_id

LISTING = "assets.json"
MANIFEST = "manifest.json"
# Where packages lie in a venv.
SITE_PACKAGES = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


def made_of(folder: Path) -> Tree:
    """Path -> object of the files of a release or a venv; a deploy wants to know several times.

    Raises:
        OSError, ValueError, LookupError: it does not say.
    """
    return _made_of(*written(folder))


def written(folder: Path) -> tuple[Path, int, int, int]:
    """What tells what a release or a venv says from what it said before."""
    manifest = folder / MANIFEST
    found = manifest.stat()
    return manifest, found.st_ino, found.st_mtime_ns, found.st_size


@lru_cache(maxsize=4)
def _made_of(manifest: Path, *_: int) -> Tree:
    files: Tree = json.loads(manifest.read_text())["files"]
    return files


def packages(venv: Path) -> dict[str, str]:
    """Path in site-packages -> object of the packages' files as they arrived: bytecode was made
    here.

    Raises:
        OSError, ValueError, LookupError: the venv does not say what it is made of.
    """
    inside = f"{SITE_PACKAGES}/"
    return {
        path.removeprefix(inside): name
        for path, name in made_of(venv).items()
        if path.startswith(inside) and not path.endswith(".pyc")
    }


def text(assets: Tree) -> bytes:
    """The listing, the same for the same files."""
    return json.dumps(dict(assets), sort_keys=True).encode()


def name(assets: Tree) -> str:
    """What names the listing here and on the controller."""
    return hashlib.sha256(text(assets)).hexdigest()


@lru_cache(maxsize=2)
def _parsed(listing: bytes) -> Tree:
    """A deploy wants the same one of several releases, and of the store."""
    files: Tree = json.loads(listing)
    return files


def of_release(folder: Path) -> Tree:
    """Path -> digest of the hashed static files of the release in that folder."""
    listing = folder / LISTING
    if listing.exists():
        return _parsed(listing.read_bytes())
    # Releases of before.
    return dict(json.loads((folder / MANIFEST).read_text())["assets"])


def of_all(layout: Layout, releases: Iterable[Release]) -> dict[str, str]:
    """Those of all these releases together. A listing that several share is read once."""
    found: dict[str, str] = {}
    seen: set[int] = set()
    for release in releases:
        folder = layout.release(release.id)
        listing = folder / LISTING
        inode = listing.stat().st_ino if listing.exists() else 0
        if inode not in seen:
            found |= of_release(folder)
        seen |= {inode} if inode else set()
    return found


def whole(layout: Layout) -> str:
    """The name of the live release's listing, if it is here as it arrived, or "".

    What was damaged of the files that it lists is asked for with the artifact that needs them.
    """
    current = current_id(layout)
    listing = layout.release(current) / LISTING if current else None
    if listing is None or not listing.exists():
        return ""
    listed = listing.read_bytes()
    named = hashlib.sha256(listed).hexdigest()
    # Written to, it is another one, which the store does not have.
    if not objects.as_settled(objects.object_path(layout.objects, named), named):
        return ""
    return named


def told(layout: Layout, manifest: Mapping[str, object], sent: Tree) -> Tree:
    """The files of an artifact: those that were sent with its manifest, or those known by name."""
    named = str(manifest.get("listing", ""))
    if sent or named in ("", name({})):
        return sent
    return _parsed(objects.object_path(layout.objects, named).read_bytes())
