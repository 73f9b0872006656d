"""What each release changed against the one that was live before it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from deploy.host import audit, reading
from deploy.host.changes import SBOM, Changes, ConfigVar, Made, compare, packages_of
from deploy.host.context import Context
from deploy.host.release import Release, read_all


def history(ctx: Context) -> list[dict[str, Any]]:
    """All sealed releases, newest first, as ``releases`` has them, and ``changes`` beside.

    It is None for a release before which nothing was live, or one that is gone by now.
    """
    releases = {release.id: release for release in read_all(ctx.layout)}
    befores = before(audit.read(ctx.layout))
    told = []
    for facts in reading.releases(ctx):
        release, older = releases[facts["id"]], releases.get(befores.get(facts["id"]) or "")
        changes = between(ctx, older, release).to_json() if older else None
        told.append({**facts, "changes": changes})
    return told


def before(entries: Iterable[Mapping[str, Any]]) -> dict[str, str | None]:
    """Release id -> the release that was live before it went live first, or when it was pushed."""
    found: dict[str, str | None] = {}
    switched: set[str] = set()
    live = None
    for entry in entries:
        event, release = entry["event"], entry["release"]
        if event == audit.PUSHED:
            found[release] = live
        elif event == audit.SWITCHED and release not in switched:
            switched.add(release)
            found[release] = entry.get("previous")
        elif event == audit.LIVE:
            live = release
    return found


def between(ctx: Context, old: Release, new: Release) -> Changes:
    """What ``new`` changes against ``old``."""
    config = config_vars(ctx, old.config, new.config)
    return compare(old.id, old.revision, made(ctx, old), made(ctx, new), config)


def made(ctx: Context, release: Release) -> Made:
    """What the release is made of.

    Releases did not always have an SBOM, and one that was damaged keeps nobody from going back.
    """
    packages: dict[str, str] = {}
    with suppress(OSError, ValueError, LookupError, TypeError):
        text = (ctx.layout.release(release.id) / SBOM).read_text()
        packages = packages_of(json.loads(text))
    return Made(packages, release.migrations, release.processes)


def config_vars(ctx: Context, old: str, new: str) -> tuple[ConfigVar, ...] | None:
    """The config vars that differ between two versions; None when the helper does not say."""
    if old == new:
        return ()
    told = ctx.units.config_changes(old, new)
    return None if told is None else tuple(ConfigVar(name, kind) for kind, name in told)
