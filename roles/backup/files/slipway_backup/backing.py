"""A backup of the cluster, and the moment that it will be held against."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

from slipway_backup import files, pgbackrest, store
from slipway_backup.events import Events
from slipway_backup.pgbackrest import POSTGRES
from slipway_backup.programs import lines, run, size
from slipway_backup.settings import Settings, sites
from slipway_backup.trouble import Trouble

SOCKET = Path("/run/postgresql")
LIBRARY = Path(__file__).parent
ARCHIVED_SECONDS = 120.0
POLL_SECONDS = 0.25


def backup(settings: Settings, events: Events, kind: str) -> dict[str, Any]:
    """Back up the cluster and the files of all sites.

    Args:
        kind: full, or diff, which becomes a full one where there is none.

    Raises:
        Trouble: it failed; what was there before is still there.
    """
    began = time.monotonic()
    _check_room(settings)
    events.note(f"backing up PostgreSQL: {'all of it' if kind == 'full' else 'what changed'}")

    def meanwhile() -> None:
        come = pgbackrest.progress()
        events.note(f"backing up PostgreSQL: {come}" if come else "backing up PostgreSQL")

    pgbackrest.call(f"--type={kind}", "backup", meanwhile=meanwhile)
    found = pgbackrest.info()
    newest = found[-1]
    events.note(f"{newest['label']}: {size(newest['info']['repository']['delta'])} written")
    record = measure(settings, events, newest["label"])
    store.forget(settings, {backup["label"] for backup in found})
    kept = files.backup(settings, events)
    return {
        "backup": newest["label"],
        "kind": newest["type"],
        "bytes": newest["info"]["repository"]["delta"],
        "exact": record["exact"],
        "files": kept,
        "seconds": round(time.monotonic() - began, 1),
    }


def measure(settings: Settings, events: Events, label: str) -> dict[str, Any]:
    """Record counts and checksums at a restore point that is named like the backup."""
    events.note("counting rows and checksums of every table")
    found = ask_postgres(SOCKET, label)
    record = {**found, "releases": {site.app: site.release for site in sites()}}
    if not found["exact"]:
        events.note(
            f"in {found['tries']} tries the tables could not be locked for an instant: what was "
            "written in that moment may make the record differ from the backup"
        )
    wait_until_archived(found["lsn"])
    store.write(store.record(settings, label), record)
    return record


def ask_postgres(socket: Path, *point: str) -> dict[str, Any]:
    """Run :mod:`slipway_backup.measuring` as PostgreSQL's superuser.

    Raises:
        Trouble: the cluster does not answer.
    """
    program = LIBRARY / "measuring.py"
    done = run(("/usr/bin/python3", "-I", program, socket, *point), user=POSTGRES)
    if done.returncode != 0:
        raise Trouble(f"The tables cannot be counted: {lines(done)[-1]}", lines(done))
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def query(statement: str, socket: Path = SOCKET, database: str = "postgres") -> str:
    """What one statement answers, as psql prints it.

    Raises:
        Trouble: the cluster does not answer, or refuses the statement.
    """
    argv = ("psql", "-XAtq", "--set=ON_ERROR_STOP=1", "-h", socket, "-d", database, "-c", statement)
    done = run(argv, user=POSTGRES)
    if done.returncode != 0:
        raise Trouble(f"PostgreSQL does not answer: {lines(done)[-1]}", lines(done))
    return done.stdout.strip()


def wait_until_archived(lsn: str) -> None:
    """Until the segment that holds this place of the log is in the repository.

    Raises:
        Trouble: it is not within two minutes.
    """
    wanted = query(f"SELECT pg_walfile_name('{lsn}'::pg_lsn)")
    query("SELECT pg_switch_wal()")
    until = time.monotonic() + ARCHIVED_SECONDS
    while time.monotonic() < until:
        # Of a backup's own file the beginning is the segment at which it began.
        last = query("SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver")
        if re.match("[0-9A-F]{24}", last) and last[:24] >= wanted:
            return
        time.sleep(POLL_SECONDS)
    raise Trouble(
        f"PostgreSQL's log does not reach the archive: {wanted} waited {ARCHIVED_SECONDS:.0f} s. "
        "Look: tail /var/log/postgresql/*.log"
    )


def _check_room(settings: Settings) -> None:
    if not settings.local:
        return
    folder = Path(settings.repository)
    free = shutil.disk_usage(folder).free
    if free < settings.free_bytes:
        raise Trouble(
            f"The repository is full: {size(free)} are free on the disk of {folder}, and "
            f"{size(settings.free_bytes)} are kept so that the site can go on. Make room, or name "
            "a place elsewhere in site_backup_repository and run: ansible-playbook site.yml"
        )
