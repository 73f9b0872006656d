"""The database as a whole: what a copy has to know of it, and the site after it was exchanged."""

from __future__ import annotations

from typing import Any

from deploy.host import audit, reading
from deploy.host.context import Context
from deploy.host.events import phase
from deploy.host.migrating import catch_up
from deploy.host.operations import current_release
from deploy.host.project import ask
from deploy.host.restarting import restart

HOOK = "app/hooks/anonymise.sql"


def survey(ctx: Context) -> dict[str, Any]:
    """The live release, what its database is like, and the project's SQL that makes it anonymous.

    Raises:
        Refused: nothing is live.
    """
    release = reading.chosen(ctx, None)
    hook = ctx.layout.release(release.id) / HOOK
    return {
        **ask(ctx, release, "survey"),
        "release": release.to_json(),
        "anonymise": hook.read_text() if hook.is_file() else None,
    }


def settle(ctx: Context, came_from: str, kept: str) -> dict[str, Any]:
    """Let the live release live with another database: migrate it, and connect to it anew.

    Args:
        came_from: the environment or file that it is a copy of, for the audit log.
        kept: the database that it replaced.

    Raises:
        BackedOut: the release cannot migrate it.
        NeedsYou: the release is not well with it.
    """
    applied: list[str] = []
    release = current_release(ctx)
    if release:
        with phase(ctx.reporter, "migrate") as migrating:
            applied = catch_up(ctx, release, migrating)
        restart(ctx, None)
    facts = {"came_from": came_from, "kept": kept, "migrations": applied}
    audit.append(ctx.layout, audit.DATABASE_REPLACED, "", who=ctx.who, **facts)
    return {"applied": applied}
