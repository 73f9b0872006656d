"""Roll back: the same switch with an older release, and a database that fits it."""

from __future__ import annotations

from typing import Any

from deploy.host import audit, history, plan, restoring
from deploy.host.changes import short
from deploy.host.context import Context
from deploy.host.errors import Refused, SlipwayError
from deploy.host.events import Phase, phase
from deploy.host.migrating import Difference, apply_again, difference, take_back
from deploy.host.release import Release, current_id, read_all
from deploy.host.restoring import RestorePoint
from deploy.host.retiring import drain, retire_others
from deploy.host.switching import NO_BRIDGE, Bridge, activate


def rollback(ctx: Context, name: str | None, reverse: bool, restore: bool) -> dict[str, Any]:
    """Go back to a release that was live and healthy: ``name``, or the newest one.

    Migrations that the older release does not know stay when it can live with them. Otherwise
    they are reversed (``reverse``), or the database goes back to its restore point
    (``restore``); without either the answer is what that would lose.

    Raises:
        Refused: nothing to go back to, or a database that the older release cannot live with.
        BackedOut: as :func:`deploy.host.switching.activate`.
    """
    releases = read_all(ctx.layout)
    entries = audit.read(ctx.layout)
    current = current_id(ctx.layout)
    pasts = audit.fold(entries)
    target = (
        plan.named_target(releases, pasts, current, name)
        if name
        else plan.rollback_target(releases, pasts, current)
    )
    left = next((r for r in releases if r.id == current), None)
    if left:
        _tell(ctx, left, target)
    newest = plan.newest_migrated(releases, entries, current)
    found = Difference()
    bridge = NO_BRIDGE
    if newest and newest.sequence > target.sequence and newest.migrations != target.migrations:
        with phase(ctx.reporter, "migrations") as classifying:
            found = difference(ctx, newest, target)
            bridge = _bridge(ctx, target, newest, found, reverse, restore, classifying)
    newer = left.id if left and left.sequence > target.sequence else None
    switched = activate(ctx, target, bridge, takes_back=newer)
    retire_others(ctx, target.id, switched.loaded, switched.at)
    ctx.units.settle()
    return {
        "release": target.to_json(),
        "left": current,
        "migrations": list(found.migrations),
        "database": bridge.name or "as it is",
    }


def _tell(ctx: Context, left: Release, target: Release) -> None:
    """Say what changes with the switch. Commits are told by whoever has the repository."""
    told = short(history.between(ctx, left, target)) or ["the same packages and config vars"]
    note = f"{left.id} -> {target.id}: {', '.join(told)}"
    goes = {"left": left.revision, "target": target.revision}
    ctx.reporter.event(phase="rollback", note=note, goes=goes)


def _bridge(
    ctx: Context,
    target: Release,
    newest: Release,
    found: Difference,
    reverse: bool,
    restore: bool,
    classifying: Phase,
) -> Bridge:
    names = ", ".join(found.migrations)
    if found.additive:
        if names:
            classifying.note(f"{names}: stay, as {target.id} can live with them")
        return NO_BRIDGE
    if restore:
        point = _restore_point(ctx, target, newest, found)
        return _restoring(ctx, target, newest, found, point)
    if not found.reversible:
        raise _offer_restore(ctx, target, newest, found)
    if not reverse:
        raise Refused(
            f"{target.id} cannot live with the database as it is ({names}). Its migrations can be "
            f"reversed, which loses what is listed above: invoke rollback {target.id} "
            "--reverse-migrations",
            [*_reasons(found), *(f"lost: {loss}" for loss in found.losses)],
        )
    for loss in found.losses:
        classifying.note(f"lost: {loss}")
    return Bridge(
        name="reverse migrations",
        cross=lambda crossing: take_back(ctx, newest, found.migrations, crossing),
        undo=lambda crossing: apply_again(ctx, newest, crossing),
    )


def _restoring(
    ctx: Context, target: Release, newest: Release, found: Difference, point: RestorePoint
) -> Bridge:
    """Nobody may write while the database goes back, so the site is down for that long."""

    def cross(crossing: Phase) -> None:
        live = current_id(ctx.layout)
        if live:
            drain(ctx.layout, live, ctx.site.drain_seconds)
            ctx.units.stop(live)
        crossing.note(f"the site is down while the database goes back to {point.at}")
        try:
            restoring.restore(ctx, target, point)
        except SlipwayError:
            if live:
                ctx.units.start(live, ctx.site.gate_seconds)
            raise
        facts = {"who": ctx.who, "migrations": list(found.migrations), "restored": point.at}
        audit.append(ctx.layout, audit.REVERSED, newest.id, **facts)

    def undo(crossing: Phase) -> None:
        crossing.note(f"the schema comes back, the rows written since {point.at} do not")
        apply_again(ctx, newest, crossing)
        ctx.units.start(newest.id, ctx.site.gate_seconds)

    return Bridge(name="restore", cross=cross, undo=undo)


def _offer_restore(
    ctx: Context,
    target: Release,
    newest: Release,
    found: Difference,
) -> Refused:
    point = _restore_point(ctx, target, newest, found)
    lost = restoring.written_since(ctx, newest, point)
    rows = "whatever was" if lost is None else f"about {lost} rows"
    return Refused(
        f"{target.id} cannot live with the database as it is, and {', '.join(found.migrations)} "
        f"cannot be reversed. The restore point taken at {point.at} can be gone back to; "
        f"{rows} written since would be lost, and the site is down meanwhile: "
        f"invoke rollback {target.id} --restore",
        _reasons(found),
    )


def _restore_point(
    ctx: Context, target: Release, newest: Release, found: Difference
) -> RestorePoint:
    """The restore point taken before the first of these migrations was applied.

    One that was reversed and applied again counts from the last time: what was written between is
    not to be lost. What a killed run applied is not in the log, and came with the newest release.
    """
    entries = audit.read(ctx.layout)
    applied = audit.applied_by(entries)
    _, first = min(applied.get(name, (len(entries), newest.id)) for name in found.migrations)
    point = restoring.find(ctx, first)
    if point:
        return point
    raise Refused(
        f"{target.id} cannot live with the database as it is ({', '.join(found.migrations)}), and "
        "there is no restore point from before. Mend it forwards: invoke deploy",
        _reasons(found),
    )


def _reasons(found: Difference) -> list[str]:
    breaks = found.breaks or {}
    return [f"{name}: {message}" for name, messages in breaks.items() for message in messages]
