"""Is the site well? What it lives on, and what is wrong, in one answer."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Container, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.host import audit, backups, baking, certificates, lock, maintenance, restoring, upgrades
from deploy.host.audit import Past
from deploy.host.context import Context
from deploy.host.errors import SlipwayError
from deploy.host.processes import WEB, addons, processes
from deploy.host.procfile import process_type
from deploy.host.project import ask
from deploy.host.release import Release, current_id, read, read_all
from deploy.host.site import others
from deploy.host.units import ACTIVE

# Shares that are free. With less, PostgreSQL or the next release may not find room soon.
DISK_LOW = 0.1
MEMORY_LOW = 0.05
PLAYBOOK = "ansible-playbook site.yml"


def status(ctx: Context) -> dict[str, Any]:
    """What is live, what runs, what it lives on; ``problems`` says what is wrong, if anything."""
    current = current_id(ctx.layout)
    release = read(ctx.layout, current) if current else None
    past = audit.fold(audit.read(ctx.layout)).get(current or "", Past())
    disk = shutil.disk_usage(ctx.layout.root)
    found = {
        "app": ctx.site.app,
        "environment": ctx.site.environment,
        "host": socket.gethostname(),
        "url": f"https://{ctx.site.domain}/",
        "trouble": baking.probe(ctx, release.id) if release else None,
        "current": {**release.to_json(), "since": past.at, "by": past.who} if release else None,
        "expected": _expected(ctx, release),
        "deploying": lock.holder(ctx.layout.lock),
        "maintenance": maintenance.facts(ctx.layout),
        "processes": processes(ctx),
        "failed_units": _failed_units(others(ctx.site.app)),
        "certificate": _certificate(ctx),
        "restore_point": _restore_point(ctx),
        "backups": backups.facts(),
        "disk": {"free": disk.free, "total": disk.total},
        "memory": _memory(),
        "database": _database(ctx, release),
        "addons": addons(ctx),
        "security_updates": [str(upgrade) for upgrade in upgrades.pending() if upgrade.security],
        "reboot_pending": upgrades.REBOOT.exists(),
    }
    return {**found, "problems": list(problems(found))}


def problems(found: Mapping[str, Any]) -> Iterator[str]:
    """What is not well in a status: sentences with the next command."""
    if not found["current"]:
        yield "nothing is live. Run: invoke deploy"
    if found["trouble"]:
        yield f"{found['trouble']}. Look: invoke logs"
    run = {entry["process"] for entry in found["processes"] if entry["live"] and _runs(entry)}
    for name in found["expected"]:
        if name not in run:
            yield f"{name} does not run. Look: invoke logs --process {process_type(name)}"
    for unit in found["failed_units"]:
        if unit.startswith(backups.UNITS):
            continue
        yield f"{unit} failed. Look: journalctl -u {unit} -n 50"
    certificate = found["certificate"]
    if certificate is None:
        yield f"Nginx shows no certificate. Run: {PLAYBOOK}"
    elif certificate["self_signed"]:
        yield f"the certificate is self-signed: no authority has issued one yet. Run: {PLAYBOOK}"
    elif certificate["days"] < 0:
        yield f"the certificate expired on {certificate['not_after'][:10]}. Run: {PLAYBOOK}"
    elif certificate["due"]:
        yield f"the certificate should have been renewed. Run: {PLAYBOOK}"
    for name, free, low in (("disk", "free", DISK_LOW), ("memory", "available", MEMORY_LOW)):
        if found[name][free] < found[name]["total"] * low:
            yield f"less than {low:.0%} of the {name} is left. Look: invoke ps, df -h /"
    database = found["database"]
    if database and database.get("problem"):
        yield f"the database does not answer: {database['problem']}"
    yield from backups.problems(found["backups"])
    for addon in found["addons"]:
        if not addon["up"]:
            yield f"{addon['name']} is {addon['state']}. Run: {PLAYBOOK}"


def _runs(entry: Mapping[str, Any]) -> bool:
    return str(entry["state"]).startswith(f"{ACTIVE}/")


def _expected(ctx: Context, release: Release | None) -> list[str]:
    """The processes that the live release should have."""
    if release is None:
        return []
    named = [name for name in ctx.site.processes if process_type(name) in release.processes]
    return [WEB, *named]


def _certificate(ctx: Context) -> dict[str, Any] | None:
    shown = certificates.shown(ctx.site.domain)
    return {**shown, "due": certificates.due(shown, datetime.now(UTC))} if shown else None


def _restore_point(ctx: Context) -> dict[str, Any] | None:
    """The newest."""
    found = (restoring.find(ctx, release.id) for release in reversed(read_all(ctx.layout)))
    return next((vars(point) for point in found if point), None)


def _memory() -> dict[str, int]:
    """Bytes available and in all, as /proc/meminfo has them."""
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    kilobytes = {fields[0].rstrip(":"): int(fields[1]) for fields in lines}
    return {
        "available": kilobytes["MemAvailable"] * 1024,
        "total": kilobytes["MemTotal"] * 1024,
    }


def _failed_units(others: Container[str]) -> list[str]:
    """Units that ended badly, such as a renewal of the certificate: not those of other sites."""
    argv = ("systemctl", "list-units", "--failed", "--plain", "--no-legend")
    listed = subprocess.run(argv, capture_output=True, text=True).stdout
    names = [line.split()[0] for line in listed.splitlines()]
    return [name for name in names if name.partition("-")[0] not in others]


def _database(ctx: Context, release: Release | None) -> dict[str, Any] | None:
    if release is None:
        return None
    try:
        return ask(ctx, release, "database")
    except SlipwayError as error:
        return {"bytes": None, "problem": error.message}
