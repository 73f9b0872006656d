"""The verbs of the release tool. Each is whole: it ends done, or backed out."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from deploy.host import assets, audit, objects, plan, project_files, pushing
from deploy.host.context import Context
from deploy.host.errors import Refused, SlipwayError
from deploy.host.events import phase
from deploy.host.migrating import migrate
from deploy.host.release import Release, current_id, read, read_all
from deploy.host.release_phase import run_release_line
from deploy.host.retiring import prune, retire_others
from deploy.host.switching import activate, stage
from deploy.host.wire import CHUNK, Payload, Wire

# What a release may have gone through and still be the same as a new one.
WAITING = (audit.PUSHED, audit.MIGRATED, audit.STAGED)
TREES = ("app", "static", "assets", "judge", "sbom", "venv")


def push(ctx: Context, wire: Wire, size: int, built_by: str) -> dict[str, Any]:
    """Take an artifact's manifest, ask for the objects that are missing, seal a release.

    An artifact that was pushed before and never went live is the same release again.

    Args:
        size: bytes of the compressed manifest that follow on the wire.
    """
    release, new = brought(ctx, wire, size, built_by, pushing.assemble)
    return {"release": release.to_json(), "new": new}


def brought(
    ctx: Context,
    wire: Wire,
    size: int,
    built_by: str,
    make: Callable[[Context, Mapping[str, Any], str, pushing.Reserved], Release],
) -> tuple[Release, bool]:
    """The release of an artifact that comes on the wire, and whether it is new.

    Args:
        make: makes a new one, as :func:`pushing.assemble` or :func:`pushing.lay_out` does.
    """
    manifest = read_manifest(ctx, wire, size)
    known = pushed_before(ctx, manifest)
    if known:
        ctx.reporter.event(need=[])
        return known, False
    reserved = pushing.reserve(ctx, manifest["revision"])
    try:
        _take(ctx, wire, manifest, object_names(manifest))
    except BaseException:
        # What is bound later than it is forgotten would stay.
        with suppress(SlipwayError):
            reserved.config()
        pushing.remove_unsealed(ctx)
        raise
    return make(ctx, manifest, built_by, reserved), True


def packages(ctx: Context, wire: Wire, size: int) -> None:
    """Take the packages of an artifact that is still being built, and make their venv.

    Nothing runs with it before a release of that lock is pushed. Where none is, the next prune
    removes it.

    Args:
        size: bytes of the compressed manifest of the packages that follow on the wire.
    """
    told = json.loads(zlib.decompress(wire.exactly(size)))
    tree = pushing.packages_told(ctx, told)
    _take(ctx, wire, told, tree.values())
    pushing.assemble_venv(ctx.layout, told["lock"], tree)


def _take(ctx: Context, wire: Wire, manifest: Mapping[str, Any], names: Iterable[str]) -> None:
    """Ask for the objects that are missing, and take them into the store."""
    store = ctx.layout.objects
    known = (looked.result().whole for looked in ctx.looked)
    need = objects.absent(store, set(names).difference(*known))
    pushing.check_room(ctx, missing_bytes(manifest, need))
    ctx.reporter.event(need=need)
    if need:
        payload = io.BufferedReader(Payload(wire), CHUNK)
        objects.receive(store, payload, need)
        # The end of a gzip stream may come before the end of the payload.
        while payload.read(objects.CHUNK):
            pass
    ctx.check()


def collectstatic(ctx: Context, release_id: str) -> dict[str, Any]:
    """Publish the release's hashed static files beside those of the other releases."""
    release = sealed(ctx, release_id)
    with phase(ctx.reporter, "collectstatic") as collecting:
        new = pushing.publish_static(ctx.layout, release)
        collecting.note(f"{new} new files")
    return {"new": new}


def migrate_to(ctx: Context, release_id: str, allow_breaking: bool) -> dict[str, Any]:
    """Apply the migrations of a release, then run its release line."""
    release = sealed(ctx, release_id)
    with phase(ctx.reporter, "migrate") as migrating:
        applied = migrate(ctx, release, current_release(ctx), allow_breaking, migrating)
    run_release_line(ctx, release)
    return {"applied": applied}


def stage_only(ctx: Context, release_id: str) -> dict[str, Any]:
    """Start and gate, and leave the release running beside the live one for `invoke switch`."""
    release = sealed(ctx, release_id)
    stage(ctx, release)
    audit.append(ctx.layout, audit.STAGED, release.id, who=ctx.who)
    return {"release": release.to_json()}


def go_live(ctx: Context, release_id: str) -> dict[str, Any]:
    """Start, gate, switch, bake and retire; then prune."""
    release = sealed(ctx, release_id)
    switched = activate(ctx, release)
    retire_others(ctx, release.id, switched.loaded, switched.at)
    with phase(ctx.reporter, "prune") as pruning:
        gone = prune(ctx, switched.loaded, pruning.note)
        ctx.units.settle()
    return {"release": release.to_json(), "pruned": [r.id for r in gone]}


def sealed(ctx: Context, release_id: str) -> Release:
    """The sealed release of that id.

    Raises:
        Refused: there is none.
    """
    release = read(ctx.layout, release_id)
    if release is None:
        known = ", ".join(r.id for r in read_all(ctx.layout)) or "none"
        raise Refused(f"No release {release_id}; there are: {known}. Run: invoke releases")
    return release


def current_release(ctx: Context) -> Release | None:
    """The live release, or None before the first switch."""
    current = current_id(ctx.layout)
    return read(ctx.layout, current) if current else None


def pushed_before(ctx: Context, manifest: Mapping[str, Any]) -> Release | None:
    """A sealed release of the same artifact and config vars that was pushed and no more."""
    current = current_release(ctx)
    live = current.sequence if current else 0
    same = [
        release
        for release in reversed(read_all(ctx.layout))
        if release.artifact == manifest["artifact"] and release.sequence > live
    ]
    if same:
        pasts = audit.fold(audit.read(ctx.layout))
        config = ctx.units.config()
        for release in same:
            waiting = pasts.get(release.id, plan.NOTHING).event in WAITING
            if waiting and release.config == config:
                return release
    return None


def object_names(manifest: Mapping[str, Any]) -> set[str]:
    """The objects that the release is made of, its venv's too: a damaged one is sent again."""
    return {name for tree in TREES for name in manifest[tree].values()}


def missing_bytes(manifest: Mapping[str, Any], names: Iterable[str]) -> int:
    """What these objects take. Of those that the droplet had a moment ago nobody said the size."""
    return sum(manifest["sizes"].get(name, 0) for name in names)


def read_manifest(ctx: Context, wire: Wire, size: int) -> dict[str, Any]:
    """An artifact's manifest, whose ``size`` compressed bytes come next on the wire.

    Raises:
        Refused: it differs from what is not there any more.
    """
    manifest = json.loads(zlib.decompress(wire.exactly(size)))
    sent = manifest["assets"]
    listed = assets.told(ctx.layout, manifest, sent)
    return {
        **manifest,
        **project_files.told(ctx.layout, manifest),
        "assets": listed,
        # One that was sent is written here, and gets its name then.
        "listing": manifest["listing"] if listed and not sent else "",
        "venv": pushing.packages_told(ctx, manifest),
    }
