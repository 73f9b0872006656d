"""Verify: whether what is on the droplet is what was pushed and made, no more and no less."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from deploy.host import assets, audit, objects, pushing, tool
from deploy.host.context import Context
from deploy.host.layout import Layout
from deploy.host.release import Release, read_all

# What belongs to a sealed release beside the files of its manifest; its seal is in the audit log.
SEALED = {assets.MANIFEST, "release.json"}


def verify(ctx: Context) -> dict[str, Any]:
    """Paths that differ from what was pushed or made, that are missing, or that nobody pushed.

    Looks at every release, venv, published static file, the link to the current release, and the
    release tool itself.
    """
    layout = ctx.layout
    releases = read_all(layout)
    seals = audit.seals(audit.read(layout))
    wrong: list[Path] = []
    published = assets.of_all(layout, releases)
    for release in releases:
        folder = layout.release(release.id)
        wrong += _folder(folder)
        if seals.get(release.id, seal := pushing.seal_of(folder)) != seal:
            wrong += [folder / "release.json"]
    for venv in layout.venvs.glob("[!.]*"):
        wrong += _folder(venv)
    wrong += _static(layout, published)
    wrong += _current(layout, releases)
    wrong += _tool(layout)
    return {"differing": sorted({str(path) for path in wrong})}


def _folder(folder: Path) -> list[Path]:
    """A release or a venv, held against its manifest."""
    stored = json.loads((folder / assets.MANIFEST).read_text())
    files, there = stored["files"], _paths(folder)
    # Manifests did not always list the links.
    links = stored.get("links", {path: _target(folder / path) for path in there})
    wrong = objects.differing(files, folder)
    wrong += [path for path in files if (folder / path).is_symlink()]
    wrong += [path for path, target in links.items() if _target(folder / path) != target]
    known = {*files, *links, *SEALED}
    wrong += [path for path in there if path not in known]
    return [folder / path for path in wrong]


def _static(layout: Layout, published: dict[str, str]) -> list[Path]:
    """Static files are published by a step of their own: some may not be there yet."""
    there = _paths(layout.static)
    wrong = objects.differing(
        {path: published[path] for path in there if path in published}, layout.static
    )
    wrong += [path for path in there if path not in published]
    return [layout.static / path for path in wrong]


def _current(layout: Layout, releases: Iterable[Release]) -> list[Path]:
    """Before the first switch there is none; then it leads to a sealed release."""
    if not os.path.lexists(layout.current):
        return []
    good = {f"releases/{release.id}" for release in releases}
    return [] if _target(layout.current) in good else [layout.current]


def _tool(layout: Layout) -> list[Path]:
    """The release tools are named by the digest of their code. Bytecode is Python's own."""
    return [
        folder
        for folder in layout.tools.glob("[!.]*")
        if tool.digest(
            {
                path: (folder / path).read_bytes()
                for path in _paths(folder)
                if "__pycache__" not in Path(path).parts
            }
        )
        != folder.name
    ]


def _paths(folder: Path) -> list[str]:
    """Files and links below the folder, relative to it; links are not followed."""
    return [
        os.path.relpath(Path(place) / name, folder)
        for place, folders, files in os.walk(folder)
        for name in (*files, *(name for name in folders if (Path(place) / name).is_symlink()))
    ]


def _target(path: Path) -> str | None:
    try:
        return str(path.readlink())
    except OSError:
        return None
