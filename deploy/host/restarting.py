"""Restarting what runs of the live release, and running more or less of it."""

from __future__ import annotations

from typing import Any

from deploy.host import audit, health, reading
from deploy.host.context import Context
from deploy.host.errors import NeedsYou, Refused
from deploy.host.events import phase
from deploy.host.processes import WEB
from deploy.host.procfile import process_type
from deploy.host.release import Release


def restart(ctx: Context, process: str | None) -> dict[str, Any]:
    """Stop and start the processes of one type, or of each; no request is lost.

    Requests in flight are finished before Gunicorn stops, and new connections wait in the socket,
    which is a unit of its own, until it is back.

    Raises:
        Refused: nothing is live, or no such process type runs.
        NeedsYou: it did not come back, or is not healthy.
    """
    release = reading.chosen(ctx, None)
    chosen = _chosen(ctx, release, process)
    for name in chosen:
        with phase(ctx.reporter, f"restart {name}") as restarting:
            problem = ctx.units.restart(release.id, name)
            try:
                if name == WEB and not problem:
                    health.gate(ctx, release, restarting.note)
            except health.Unhealthy as error:
                problem = str(error)
        if problem:
            raise NeedsYou(
                f"{name} of {release.id} was restarted and is not well: {problem}. Look: invoke "
                "logs; back to the release before: invoke rollback",
                ctx.units.logs(release.id) if name == WEB else (),
            )
        audit.append(ctx.layout, audit.RESTARTED, release.id, who=ctx.who, process=name)
    return {"release": release.to_json(), "restarted": chosen}


def scale(ctx: Context) -> dict[str, Any]:
    """Run as many processes of the live release as the site is told by now; no request is lost.

    A worker of Gunicorn that is one too many finishes what it holds. What is too many of the other
    types was stopped when its unit was taken away.

    Raises:
        Refused: nothing is live.
        NeedsYou: something did not start, or the site is not healthy.
    """
    release = reading.chosen(ctx, None)
    with phase(ctx.reporter, "processes") as starting:
        problem = ctx.units.run_processes(release.id)
    with phase(ctx.reporter, WEB):
        problem = problem or ctx.units.set_workers(release.id, ctx.site.workers)
        try:
            if not problem:
                health.gate(ctx, release, starting.note)
        except health.Unhealthy as error:
            problem = str(error)
    if problem:
        raise NeedsYou(
            f"{release.id} is not well with that many processes: {problem}. Look: invoke ps",
            ctx.units.logs(release.id),
        )
    audit.append(ctx.layout, audit.SCALED, release.id, who=ctx.who, processes=ctx.site.processes)
    return {"release": release.to_json(), "processes": _there(ctx, release)}


def _chosen(ctx: Context, release: Release, process: str | None) -> list[str]:
    there = _there(ctx, release)
    if process is None:
        return there
    chosen = [name for name in there if process in (name, process_type(name))]
    if not chosen:
        raise Refused(f"No process {process} runs here, only: {', '.join(there)}")
    return chosen


def _there(ctx: Context, release: Release) -> list[str]:
    declared = {WEB, *release.processes}
    return [name for name in (WEB, *ctx.site.processes) if process_type(name) in declared]
