"""What a killed run, a cut connection or a reboot left behind is put right before anything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.host import audit, maintenance
from deploy.host.context import Context
from deploy.host.events import Phase, phase
from deploy.host.plan import staged
from deploy.host.pushing import remove_unsealed, unsealed
from deploy.host.release import current_id, read
from deploy.host.retiring import retire, strays, warm
from deploy.host.units import ACTIVE


def recover(ctx: Context) -> None:
    """Bring the droplet into a state that a deploy may start from. Needs the lock.

    Half releases are removed, instances nobody is sent to are drained and stopped, and a release
    that was switched to but not proved is judged now.
    """
    layout = ctx.layout
    (layout.root / ".current").unlink(missing_ok=True)
    maintenance.tidy(layout)
    loaded = ctx.units.loaded()
    if current_id(layout) is not None:
        _revive(ctx, loaded)
        _judge(ctx)
    current = current_id(layout)
    keep = {current} | warm(ctx, current) if current else set()
    left = strays(loaded, keep | staged(audit.fold(audit.read(layout))))
    half_made = {path.name for path in unsealed(layout)}
    for release in left:
        # Nobody was sent to what is not sealed, and it is removed with all that it is bound to.
        if release in half_made:
            ctx.units.stop(release)
        else:
            retire(ctx, release)
    ctx.units.settle()
    half = remove_unsealed(ctx)
    if left or half:
        with phase(ctx.reporter, "recover") as recovering:
            for release in left:
                recovering.note(f"stopped {release}, left running by an interrupted run")
            for release in half:
                recovering.note(f"removed {release}, left half-made by an interrupted run")
    if current is not None and ctx.site.processes:
        ctx.units.run_processes(current)


def _revive(ctx: Context, loaded: Mapping[str, str]) -> None:
    """Start the live release when it is down, as after a restore that was cut off."""
    current = current_id(ctx.layout)
    if current and loaded.get(current) != ACTIVE:
        with phase(ctx.reporter, "recover") as recovering:
            problem = ctx.units.start(current, ctx.site.gate_seconds)
            recovering.note(f"{current} was down: {problem or 'started'}")


def _judge(ctx: Context) -> None:
    """Prove a release that was switched to and not proved, or go back from it."""
    current = current_id(ctx.layout)
    release = read(ctx.layout, current) if current else None
    entries = audit.read(ctx.layout)
    last: Mapping[str, Any] = next((e for e in reversed(entries) if e["release"] == current), {})
    if release is None or last.get("event") != audit.SWITCHED:
        return
    # Here, because each conversation begins with a look, and few find one.
    from deploy.host import health

    with phase(ctx.reporter, "recover") as recovering:
        try:
            health.gate(ctx, release, recovering.note)
        except health.Unhealthy as error:
            facts = {"who": ctx.who, "cause": f"after an interrupted switch: {error}"}
            audit.append(ctx.layout, audit.FAILED, release.id, **facts)
            recovering.note(f"{release.id} was never proved, and is not healthy: {error}")
            _go_back(ctx, last.get("previous"), recovering)
            return
        audit.append(ctx.layout, audit.LIVE, release.id, who=ctx.who, recovered=True)
        recovering.note(f"{release.id} was switched to by an interrupted run, and is healthy")


def _go_back(ctx: Context, previous: str | None, recovering: Phase) -> None:
    from deploy.host.switching import point

    if previous and read(ctx.layout, previous):
        problem = ctx.units.start(previous, ctx.site.gate_seconds)
        if problem is None:
            point(ctx.layout, previous)
        recovering.note(f"back to {previous}" + (f": {problem}" if problem else ""))
