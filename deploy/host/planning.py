"""Plan: what a deploy of an artifact would change on this droplet, without changing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deploy.host import history, maintenance, migrating, objects, operations, plan, project, pushing
from deploy.host.changes import Made, compare
from deploy.host.context import Context
from deploy.host.errors import Refused
from deploy.host.release import Release
from deploy.host.retiring import remove
from deploy.host.wire import Wire


def foresee(ctx: Context, wire: Wire, size: int, packages: Mapping[str, str]) -> dict[str, Any]:
    """Hold an artifact's manifest against what is here; reads only.

    Args:
        size: bytes of the compressed manifest that follow on the wire.
        packages: the artifact's packages, versions by name.

    Returns:
        ``changes`` against the live release, None without one; ``unapplied``, the migrations that
        the database does not have; ``waiting``, a release of this artifact that was pushed before.
        ``objects``, ``bytes``, ``needed`` and ``free`` are of the push; ``no_room`` says why not.
    """
    manifest = operations.read_manifest(ctx, wire, size)
    current = operations.current_release(ctx)
    names = objects.absent(ctx.layout.objects, operations.object_names(manifest))
    total = operations.missing_bytes(manifest, names)
    room = pushing.room(ctx, total)
    waiting = operations.pushed_before(ctx, manifest)
    new = Made(packages, tuple(manifest["migrations"]), manifest["processes"])
    return {
        "changes": _changes(ctx, current, new) if current else None,
        "unapplied": unapplied(ctx, current, new.migrations),
        "waiting": waiting.id if waiting else None,
        "objects": len(names),
        "bytes": total,
        "needed": room.needed,
        "free": room.free,
        "no_room": room.problem,
    }


def unapplied(ctx: Context, current: Release | None, migrations: Sequence[str]) -> list[str]:
    """Those that the database does not have; it is asked with the live release's code."""
    if current is None:
        return sorted(migrations)
    if {*migrations} <= {*current.migrations}:
        return []
    return sorted({*migrations} - {*project.ask(ctx, current, "plan")["applied"]})


def judge(ctx: Context, release_id: str, remove_after: bool) -> dict[str, Any]:
    """What migrating to a sealed release would do: ``pending`` with ``sql`` and ``breaks``.

    ``refusal`` is the sentence with which a deploy would end there, or None.

    Args:
        remove_after: the release was pushed for this alone, and leaves again.
    """
    release = operations.sealed(ctx, release_id)
    pending: list[Mapping[str, Any]] = []
    refusal = None
    try:
        found = migrating.look(ctx, release, whole=True)
        pending = found["pending"]
        current = operations.current_release(ctx)
        if current and pending:
            plan.judge_breaking(pending, current.id, False, maintenance.closed_since(ctx))
    except Refused as error:
        refusal = error.message
    finally:
        if remove_after:
            remove(ctx, release, ctx.units.loaded())
            ctx.units.settle()
    return {"pending": pending, "refusal": refusal}


def _changes(ctx: Context, current: Release, new: Made) -> dict[str, Any]:
    config = history.config_vars(ctx, current.config, ctx.units.config())
    old = history.made(ctx, current)
    return compare(current.id, current.revision, old, new, config).to_json()
