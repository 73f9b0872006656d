"""Facts about the droplet and its releases: what a controller asks first."""

from __future__ import annotations

import os
import socket
import sys
from datetime import UTC, datetime
from typing import Any

from deploy.host import (
    assets,
    audit,
    beforehand,
    maintenance,
    project_files,
    pushing,
    restoring,
)
from deploy.host.audit import Past
from deploy.host.context import Context
from deploy.host.errors import Refused
from deploy.host.plan import named
from deploy.host.release import Release, current_id, read, read_all
from deploy.host.site import others


def releases(ctx: Context) -> list[dict[str, Any]]:
    """All sealed releases, newest first, with what they went through."""
    pasts = audit.fold(audit.read(ctx.layout))
    current = current_id(ctx.layout)
    return [
        {
            **release.to_json(),
            "state": _state(release, pasts.get(release.id, Past()), current),
            "at": pasts.get(release.id, Past()).at or release.created_at,
        }
        for release in reversed(read_all(ctx.layout))
    ]


def chosen(ctx: Context, name: str | None) -> Release:
    """The release called ``name`` (an id, or the beginning of one), by default the live one.

    Raises:
        Refused: there is none.
    """
    if name:
        return named(read_all(ctx.layout), name)
    current = current_id(ctx.layout)
    live = read(ctx.layout, current) if current else None
    if live is None:
        raise Refused(f"Nothing is live on {socket.gethostname()} yet. Run: invoke deploy")
    return live


def restore_point(ctx: Context, release: str) -> dict[str, Any] | None:
    """The restore point that was taken before a release migrated, if it did."""
    point = restoring.find(ctx, release)
    return vars(point) if point else None


def facts(ctx: Context) -> dict[str, Any]:
    """What the controller has to know before it builds, of what is in files."""
    current = current_id(ctx.layout)
    live = read(ctx.layout, current) if current else None
    return {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "machine": os.uname().machine,
        # "glibc 2.41"
        "glibc": (os.confstr("CS_GNU_LIBC_VERSION") or "").rpartition(" ")[2],
        "current": live.to_json() if live else None,
        "now": datetime.now(UTC).timestamp(),
        "maintenance": maintenance.facts(ctx.layout),
        "others": others(ctx.site.app),
    }


def holdings(ctx: Context) -> dict[str, Any]:
    """What of an artifact need not be sent, as it is here: of use to who pushes one."""
    beforehand.look(ctx)
    return {
        "locks": pushing.locks(ctx.layout),
        "listing": assets.whole(ctx.layout),
        "files": project_files.name(ctx.layout),
    }


def _state(release: Release, past: Past, current: str | None) -> str:
    if release.id == current:
        return "live" if past.live else "live, unproved"
    if past.bad:
        return past.event if past.event == audit.ROLLED_BACK else audit.FAILED
    if past.live:
        return "healthy"
    return audit.STAGED if past.event == audit.STAGED else audit.PUSHED
