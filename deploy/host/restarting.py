"""Restarting what runs of the live release."""

from __future__ import annotations

from typing import Any

from deploy.host import audit, health, reading
from deploy.host.context import Context
from deploy.host.errors import NeedsYou, Refused
from deploy.host.events import phase
from deploy.host.release import Release

WEB = "web"


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


def _chosen(ctx: Context, release: Release, process: str | None) -> list[str]:
    there = [name for name in (WEB, *ctx.site.processes) if name in {WEB, *release.processes}]
    if process is None:
        return there
    if process not in there:
        raise Refused(f"No process {process} runs here, only: {', '.join(there)}")
    return [process]
