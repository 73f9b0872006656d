"""Facts about the droplet and its releases, for `invoke releases` and `invoke status`."""

from __future__ import annotations

import platform
import shutil
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.host import audit, certificates, lock, maintenance, pushing
from deploy.host.audit import Past
from deploy.host.context import Context
from deploy.host.errors import Refused, SlipwayError
from deploy.host.plan import named
from deploy.host.project import ask
from deploy.host.release import Release, current_id, read, read_all


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


def facts(ctx: Context) -> dict[str, Any]:
    """What the controller has to know before it builds."""
    current = current_id(ctx.layout)
    live = read(ctx.layout, current) if current else None
    return {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "machine": platform.machine(),
        "glibc": platform.libc_ver()[1],
        "current": live.to_json() if live else None,
        "config": ctx.units.config(),
        "locks": pushing.whole_venvs(ctx.layout),
        "now": datetime.now(UTC).timestamp(),
        "certificate": certificates.shown(ctx.site.domain),
        "maintenance": _maintenance(ctx),
    }


def status(ctx: Context) -> dict[str, Any]:
    """What is live, its units, and what it lives on."""
    current = current_id(ctx.layout)
    release = read(ctx.layout, current) if current else None
    disk = shutil.disk_usage(ctx.layout.root)
    memory = _memory()
    past = audit.fold(audit.read(ctx.layout)).get(current or "", Past())
    return {
        "app": ctx.site.app,
        "environment": ctx.site.environment,
        "host": socket.gethostname(),
        "url": f"https://{ctx.site.domain}/",
        "current": {**release.to_json(), "since": past.at} if release else None,
        "deploying": lock.holder(ctx.layout.lock),
        "maintenance": _maintenance(ctx),
        "units": [{"release": unit, **vars(ctx.units.state(unit))} for unit in ctx.units.loaded()],
        "failed_units": _failed_units(),
        "certificate": certificates.shown(ctx.site.domain),
        "disk": {"free": disk.free, "total": disk.total},
        "memory": memory,
        "database": _database(ctx, release),
    }


def _maintenance(ctx: Context) -> dict[str, Any] | None:
    found = maintenance.read(ctx.layout)
    return found.to_json() if found else None


def _state(release: Release, past: Past, current: str | None) -> str:
    if release.id == current:
        return "live" if past.live else "live, unproved"
    if past.bad:
        return past.event if past.event == audit.ROLLED_BACK else audit.FAILED
    if past.live:
        return "healthy"
    return audit.STAGED if past.event == audit.STAGED else audit.PUSHED


def _memory() -> dict[str, int]:
    """Bytes available and in all, as /proc/meminfo has them."""
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    kilobytes = {fields[0].rstrip(":"): int(fields[1]) for fields in lines}
    return {
        "available": kilobytes["MemAvailable"] * 1024,
        "total": kilobytes["MemTotal"] * 1024,
    }


def _failed_units() -> list[str]:
    """Units of the droplet that ended badly, such as a renewal of the certificate."""
    argv = ("systemctl", "list-units", "--failed", "--plain", "--no-legend")
    listed = subprocess.run(argv, capture_output=True, text=True).stdout
    return [line.split()[0] for line in listed.splitlines()]


def _database(ctx: Context, release: Release | None) -> dict[str, Any] | None:
    if release is None:
        return None
    try:
        return ask(ctx, release, "database")
    except SlipwayError as error:
        return {"bytes": None, "problem": error.message}
