"""A project's collected static files: what is hashed, what is not, and their gzipped twins."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from deploy.host.assets import name as listing_name
from deploy.host.objects import below
from deploy.packing import object_name

COMPRESSED_SUFFIXES = (".css", ".js", ".mjs", ".svg", ".html", ".json", ".txt", ".xml", ".map")
COMPRESSED_FROM_BYTES = 500
# In the folder of a collection: its files, what was made of them, and how all of it is named.
FILES, TWINS, NAMES = "files", "twins", ".names.json"


@dataclass(frozen=True)
class Collection:
    """Path -> object name of hashed files (``assets``), of their ``twins``, and of the others.

    The storage's ``manifest`` is one path, or none. The twins lie in TWINS of the ``folder``, all
    others in FILES. ``named`` names the assets, ``listing`` assets and twins.
    """

    folder: Path
    static: Mapping[str, str]
    assets: Mapping[str, str]
    twins: Mapping[str, str]
    manifest: Mapping[str, str]
    named: str
    listing: str

    @property
    def trees(self) -> tuple[tuple[Path, Mapping[str, str]], ...]:
        """Folders, and what of a collection lies in them."""
        files = self.folder / FILES
        plain = ((files, tree) for tree in (self.static, self.assets, self.manifest))
        return (*plain, (self.folder / TWINS, self.twins))


def write(folder: Path, hashed: Iterable[str], manifest: str | None, squeezed: Path) -> None:
    """Name the files of a collection once: ten thousand need not be read at each build.

    Args:
        folder: holds them in FILES; gets the rest.
        hashed: names of those that carry their content's hash.
        manifest: the name of the storage's manifest, if it has one.
        squeezed: keeps gzipped files by the object name of what they were.
    """
    files = folder / FILES
    names = {name: object_name(Path(entry.path)) for name, entry in below(files) if entry.is_file()}
    named = {manifest: names.pop(manifest)} if manifest else {}
    static, assets, twins = {}, {}, {}
    known = {*hashed}
    for name, content in names.items():
        if name.removesuffix(".gz").removesuffix(".br") not in known:
            static[name] = content
            continue
        assets[name] = content
        made = None if f"{name}.gz" in names else compressed(squeezed, files / name, content)
        if made:
            twin = folder / TWINS / f"{name}.gz"
            twin.parent.mkdir(parents=True, exist_ok=True)
            os.link(made, twin)
            twins[f"{name}.gz"] = object_name(twin)
    told = {"static": static, "assets": assets, "twins": twins, "manifest": named}
    of_them = {"named": listing_name(assets), "listing": listing_name({**assets, **twins})}
    (folder / NAMES).write_text(json.dumps({**told, **of_them}))


@lru_cache(maxsize=2)
def read(folder: Path) -> Collection:
    """What :func:`write` wrote; what a build expects is mostly what it reads again."""
    return Collection(folder, **json.loads((folder / NAMES).read_text()))


def compressed(squeezed: Path, path: Path, name: str) -> Path | None:
    """The gzipped twin of a file for Nginx's gzip_static, or None when it saves little."""
    size = path.stat().st_size
    if path.suffix not in COMPRESSED_SUFFIXES or size < COMPRESSED_FROM_BYTES:
        return None
    twin = squeezed / name
    if not twin.exists():
        squeezed.mkdir(parents=True, exist_ok=True)
        draft = twin.with_name(f".{name}.{os.getpid()}")
        draft.write_bytes(gzip.compress(path.read_bytes(), compresslevel=9, mtime=0))
        draft.rename(twin)
    return twin if twin.stat().st_size < size * 0.95 else None
