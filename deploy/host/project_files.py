"""The project's own files, told as what differs from those of the live release.

Ten thousand names weigh a megabyte, and a deploy changes few of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from deploy.host import assets, trees
from deploy.host.errors import Refused
from deploy.host.layout import Layout
from deploy.host.objects import Tree
from deploy.host.release import current_id

# Of an artifact's manifest, and folders of a release.
TREES = ("app", "static")


def joined(manifest: Mapping[str, Any]) -> Tree:
    """The trees as one: each path with its tree's name before it."""
    return {f"{tree}/{path}": name for tree in TREES for path, name in manifest[tree].items()}


def name(layout: Layout) -> str:
    """What names the live release's files here and on the controller.

    "" without one, or where it cannot be read what it was made of: then all are told.
    """
    current = current_id(layout)
    try:
        return _named(*assets.written(layout.release(current)))[0] if current else ""
    except (OSError, ValueError, KeyError):
        return ""


def differing(whole: Tree, base: Tree) -> dict[str, str | None]:
    """What has to be told of a tree to one who knows ``base``; a path that is gone has None."""
    gone: dict[str, str | None] = dict.fromkeys(base.keys() - whole.keys())
    return gone | {path: name for path, name in whole.items() if base.get(path) != name}


def told(layout: Layout, manifest: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The trees of an artifact, whether it was told whole or as what differs.

    Raises:
        Refused: another release went live since the controller was told which is.
    """
    if not manifest.get("differs_from"):
        return {tree: manifest[tree] for tree in TREES}
    current = current_id(layout)
    named, base = _named(*assets.written(layout.release(current))) if current else ("", {})
    if named != manifest["differs_from"]:
        raise Refused("Another release went live meanwhile. Run the command again")
    whole = {path: name for path, name in {**base, **manifest["differs"]}.items() if name}
    return {
        tree: {
            path.removeprefix(f"{tree}/"): name
            for path, name in whole.items()
            if path.startswith(f"{tree}/")
        }
        for tree in TREES
    }


def of_release(layout: Layout, release: str) -> dict[str, str]:
    """Its files as they were pushed: bytecode was made here."""
    return _of(layout.release(release))


@lru_cache(maxsize=1)
def _named(manifest: Path, *_: int) -> tuple[str, Tree]:
    """The files of a release, which a push wants to know twice, and what names them."""
    files = _of(manifest.parent)
    return trees.name(files), files


def _of(folder: Path) -> dict[str, str]:
    files = assets.made_of(folder)
    inside = tuple(f"{tree}/" for tree in TREES)
    return {
        path: name
        for path, name in files.items()
        if path.startswith(inside) and not (path.startswith("app/") and path.endswith(".pyc"))
    }
