"""From a sealed release to the live one, and back: start, gate, switch, bake, retire."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from deploy.host import audit, baking, beforehand, health
from deploy.host.baking import Before
from deploy.host.certificates import shown
from deploy.host.context import Context
from deploy.host.errors import BackedOut, Refused, SlipwayError
from deploy.host.events import Phase, phase
from deploy.host.layout import Layout
from deploy.host.release import Release, current_id
from deploy.host.retiring import look_ahead, retire, sweep


def point(layout: Layout, release: str) -> None:
    """Make ``current`` point to the release, in one rename(2)."""
    draft = layout.root / ".current"
    draft.unlink(missing_ok=True)
    draft.symlink_to(layout.release(release).relative_to(layout.root))
    draft.rename(layout.current)
    _sync_folder(layout)


def _nothing(_: Phase) -> None:
    """A bridge that is not needed."""


@dataclass(frozen=True)
class Bridge:
    """What has to be done to the database between the gate and the switch, and its undoing.

    ``name`` is the phase it shows as.
    """

    name: str = ""
    cross: Callable[[Phase], None] = _nothing
    undo: Callable[[Phase], None] = _nothing


NO_BRIDGE = Bridge()


def stage(ctx: Context, release: Release) -> Before:
    """Start the release beside the live one and ask it everything; visitors see nothing.

    Returns:
        How the live one is meanwhile.

    Raises:
        BackedOut: it did not start, failed its gate, or somebody pressed Ctrl-C; it was stopped.
    """
    current = current_id(ctx.layout)
    if release.id == current:
        raise Refused(f"{release.id} is live already. Run: invoke releases")
    try:
        with phase(ctx.reporter, "start"):
            ctx.check()
            problem = ctx.units.start(release.id, ctx.site.gate_seconds)
            if problem:
                sentence = problem.splitlines()[0].rstrip(".")
                raise health.Unhealthy(f"its unit did not start: {sentence}")
        with phase(ctx.reporter, "gate") as gating, ThreadPoolExecutor(1) as beside:
            looking = beside.submit(baking.look, ctx, current)
            health.gate(ctx, release, gating.note)
            return looking.result()
    except (
        health.Unhealthy,
        SlipwayError,
        OSError,
        ValueError,
        subprocess.SubprocessError,
    ) as error:
        raise _abandon(ctx, release, error) from None


@dataclass(frozen=True)
class Switched:
    """When visitors were sent to a release, by the monotonic clock, and the instances that ran."""

    at: float
    loaded: Mapping[str, str]


def activate(
    ctx: Context,
    release: Release,
    bridge: Bridge = NO_BRIDGE,
    takes_back: str | None = None,
) -> Switched:
    """Make a sealed release the live one; on any failure visitors stay where they were.

    What served before runs on.

    Args:
        bridge: what the database needs between the gate and the switch.
        takes_back: the release that is rolled back by this, if one is.

    Raises:
        BackedOut: the release did not start, failed its gate or its bake, or somebody pressed
            Ctrl-C; what served before serves.
    """
    previous = current_id(ctx.layout)
    before = stage(ctx, release)
    _cross(ctx, release, bridge)
    with phase(ctx.reporter, "switch") as switching:
        facts = {"previous": previous, "takes_back": takes_back, "command": ctx.command}
        audit.append(ctx.layout, audit.SWITCHED, release.id, who=ctx.who, **facts)
        point(ctx.layout, release.id)
        loaded: dict[str, str] = {}
        switched = Switched(time.monotonic(), loaded)
        switching.note(f"{previous or 'nothing'} -> {release.id}")
    trouble = _prove(ctx, release, before, loaded)
    if trouble:
        raise _switch_back(ctx, release, previous, trouble, bridge)
    audit.append(ctx.layout, audit.LIVE, release.id, who=ctx.who, previous=previous)
    return switched


def _prove(ctx: Context, release: Release, before: Before, loaded: dict[str, str]) -> str | None:
    """Bake the live release and change its processes over; returns what is wrong, or None.

    ``loaded`` is filled in with the instances that run meanwhile.
    """
    try:
        with phase(ctx.reporter, "bake") as current:
            tidy = partial(_tidy, ctx, current, loaded)
            trouble = baking.bake(ctx, release, before, current.note, tidy)
        return trouble or _switch_processes(ctx, release.id, watch=True)
    except (SlipwayError, OSError, ValueError, subprocess.SubprocessError) as error:
        return f"it could not be watched ({error})"


def _tidy(ctx: Context, baking_: Phase, loaded: dict[str, str]) -> None:
    """What can be done while there is nothing else to do."""
    loaded |= ctx.units.loaded()
    ctx.units.prepare()
    certificate = shown(ctx.site.domain)
    if certificate and certificate["days"] < 0:
        baking_.note(
            f"the certificate expired on {certificate['not_after'][:10]}, and visitors are warned "
            "off. Run: ansible-playbook site.yml"
        )
    try:
        sweep(ctx.layout)
        beforehand.spare(ctx.layout)
        look_ahead(ctx)
    except (OSError, subprocess.SubprocessError) as error:
        # It is no fault of the release's, and tried again by the next one.
        baking_.note(f"the site's folder is not tidy yet: {error}")


def _cross(ctx: Context, release: Release, bridge: Bridge) -> None:
    if bridge is NO_BRIDGE:
        return
    try:
        with phase(ctx.reporter, bridge.name) as crossing:
            ctx.check()
            bridge.cross(crossing)
    except SlipwayError:
        ctx.units.stop(release.id)
        raise


def _switch_processes(ctx: Context, release: str, watch: bool = False) -> str | None:
    """Workers and schedulers change over. Returns what is wrong with the new ones, or None."""
    if not ctx.site.processes:
        return None
    with phase(ctx.reporter, "processes") as changing:
        changing.note(", ".join(ctx.site.processes))
        trouble = ctx.units.run_processes(release)
        return trouble or (baking.bake_processes(ctx, release) if watch else None)


def _abandon(ctx: Context, release: Release, error: Exception) -> SlipwayError:
    """Stop an instance that visitors never saw."""
    current = current_id(ctx.layout)
    serving = f"{current} goes on serving" if current else "nothing is live yet"
    logs = ctx.units.logs(release.id)
    ctx.units.stop(release.id)
    if ctx.cancel.is_set():
        return BackedOut(
            f"Interrupted: release {release.id} was stopped before the switch; {serving}."
        )
    audit.append(ctx.layout, audit.FAILED, release.id, who=ctx.who, cause=str(error))
    return BackedOut(
        f"Release {release.id} was not switched to: {error}. Visitors saw nothing of it; "
        f"{serving}. Mend it and run: invoke deploy",
        logs,
    )


def _switch_back(
    ctx: Context, release: Release, previous: str | None, trouble: str, bridge: Bridge
) -> SlipwayError:
    with phase(ctx.reporter, "switch back") as switching:
        if previous:
            point(ctx.layout, previous)
        else:
            ctx.layout.current.unlink()
        bridge.undo(switching)
    event = audit.INTERRUPTED if ctx.cancel.is_set() else audit.FAILED
    audit.append(ctx.layout, event, release.id, who=ctx.who, cause=f"after the switch: {trouble}")
    logs = ctx.units.logs(release.id)
    if previous:
        _switch_processes(ctx, previous)
    retire(ctx, release.id)
    ctx.units.settle()
    serving = f"switched back to {previous}" if previous else "nothing is live again"
    return BackedOut(
        f"Release {release.id} was live for a moment and taken back: {trouble}; {serving}. "
        "Mend it and run: invoke deploy",
        logs,
    )


def _sync_folder(layout: Layout) -> None:
    descriptor = os.open(layout.root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
