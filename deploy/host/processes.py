"""What runs of the site, as systemd and the kernel tell it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from deploy.host.context import Context
from deploy.host.release import current_id
from deploy.host.units import ACTIVE

PROPERTIES = (
    *("Id", "ActiveState", "SubState", "ActiveEnterTimestampMonotonic", "NRestarts"),
    *("MemoryCurrent", "CPUUsageNSec", "ControlGroup"),
)
WEB = "web"


def processes(ctx: Context) -> list[dict[str, Any]]:
    """One entry for each process type of each release that runs, or should: the live ones first.

    ``uptime`` and ``cpu`` are seconds, ``memory`` is bytes.
    """
    app = ctx.site.app
    # One answer for all: systemd shows the units of a pattern that it has in memory.
    patterns = [f"{app}-{name}@*.service" for name in (WEB, *ctx.site.processes)]
    shown = subprocess.run(
        ("systemctl", "show", f"--property={','.join(PROPERTIES)}", *patterns),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    live = current_id(ctx.layout)
    found = [
        _entry(app, unit, live, time.monotonic())
        for unit in blocks(shown)
        if unit["ActiveState"] != "inactive" or unit["Id"].partition("@")[2] == f"{live}.service"
    ]
    return sorted(found, key=lambda entry: (not entry["live"], entry["process"] != WEB))


def addons(ctx: Context) -> list[dict[str, Any]]:
    """The services of the site's own: ``name``, ``state``, ``up``, ``memory`` in bytes."""
    found = []
    for name in ctx.site.addons:
        unit = f"{ctx.site.app}-{name}.service"
        shown = subprocess.run(
            ("systemctl", "show", f"--property={','.join(PROPERTIES)}", unit),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        entry = _entry(ctx.site.app, blocks(shown)[0], None, time.monotonic())
        up = entry["state"].startswith(f"{ACTIVE}/")
        found.append({"name": name, "state": entry["state"], "up": up, "memory": entry["memory"]})
    return found


def blocks(shown: str) -> list[dict[str, str]]:
    """What `systemctl show` says of several units: name -> value for each."""
    units = (block.splitlines() for block in shown.strip().split("\n\n"))
    found = [dict(line.split("=", 1) for line in lines if "=" in line) for lines in units]
    return [unit for unit in found if unit.get("Id")]


def _entry(app: str, unit: Mapping[str, str], live: str | None, now: float) -> dict[str, Any]:
    process, _, release = unit["Id"].removeprefix(f"{app}-").removesuffix(".service").partition("@")
    memory, cpu = number(unit.get("MemoryCurrent")), number(unit.get("CPUUsageNSec"))
    running = unit["ActiveState"] == ACTIVE
    # A host that does not account for units: what its processes use, without those that ended.
    counted = used(unit.get("ControlGroup", ""), Path("/proc")) if running else (0, 0.0)
    started = (number(unit.get("ActiveEnterTimestampMonotonic")) or 0) / 1e6
    return {
        "process": process,
        "release": release,
        "live": release == live,
        "state": f"{unit['ActiveState']}/{unit['SubState']}",
        "uptime": round(now - started) if running else None,
        "memory": counted[0] if memory is None else memory,
        "cpu": round(counted[1] if cpu is None else cpu / 1e9, 2),
        "restarts": number(unit.get("NRestarts")) or 0,
    }


def number(text: str | None) -> int | None:
    """A number of systemd's; None for "[not set]", which may also be the largest there is."""
    return int(text) if text and text.isdecimal() and int(text) < 2**64 - 1 else None


def used(group: str, proc: Path) -> tuple[int, float]:
    """Bytes of memory and seconds of processor time of the processes of a control group.

    Pages that several share are counted for each.
    """
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    memory, seconds = 0, 0.0
    for status in _of_group(group, proc):
        # After the name in brackets: state is field 3, utime and stime are 14 and 15, rss is 24.
        fields = status.rpartition(")")[2].split()
        seconds += (int(fields[11]) + int(fields[12])) / ticks
        memory += int(fields[21]) * page
    return memory, seconds


def _of_group(group: str, proc: Path) -> Iterable[str]:
    for folder in proc.glob("[0-9]*"):
        try:
            lines = (folder / "cgroup").read_text().splitlines()
            if group and any(line.endswith(f":{group}") for line in lines):
                yield (folder / "stat").read_text()
        except OSError:
            # It ended meanwhile.
            continue
