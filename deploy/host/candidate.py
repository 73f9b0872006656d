"""A candidate: a release that starts while the controller still asks the project about it.

It is not sealed before the answer is known, so nothing can make it live, and whatever ends this run
before leaves half a release, which is removed.
"""

from __future__ import annotations

import os
from typing import Any

from deploy.host.context import Context
from deploy.host.operations import brought, current_release
from deploy.host.pushing import complete, lay_out, remove_unsealed
from deploy.host.release import Release
from deploy.host.release_phase import RELEASE
from deploy.host.wire import Wire


def begin(ctx: Context, wire: Wire, size: int, built_by: str) -> dict[str, Any]:
    """Take an artifact as a push does, and start it where nothing has to be done before.

    Args:
        size: bytes of the compressed manifest that follow on the wire.
    """
    ctx.units.expect()
    release, new = brought(ctx, wire, size, built_by, lay_out)
    if new:
        ctx.begun.append(release)
        if _only_starts(ctx, release):
            ctx.units.begin(release.id)
        # The controller waits for the project now.
        os.sync()
    return {"release": release.to_json(), "new": new}


def seal(ctx: Context) -> None:
    """The project's answer is as it was expected: what was begun is a release like any other."""
    while ctx.begun:
        complete(ctx, ctx.begun.pop())


def withdraw(ctx: Context) -> None:
    """Leave nothing of what was begun. Nobody was sent to it."""
    if ctx.begun:
        for release in ctx.begun:
            ctx.units.stop(release.id)
        ctx.begun.clear()
        remove_unsealed(ctx)


def _only_starts(ctx: Context, release: Release) -> bool:
    """Whether the database and the config vars are what it needs, and no line runs before it."""
    current = current_release(ctx)
    return (
        current is not None
        and (current.migrations, current.config) == (release.migrations, release.config)
        and RELEASE not in release.processes
    )
