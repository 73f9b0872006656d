"""One site's database as it was at a moment, beside the one that serves, and then in its place.

Other sites of the cluster are not touched, and archiving goes on. Until the swap, which is one
transaction, the site's database is as it was.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipway_backup import pgbackrest, project, scratch, store
from slipway_backup.backing import SOCKET, query, wait_until_archived
from slipway_backup.events import Events
from slipway_backup.measuring import WRITTEN
from slipway_backup.pgbackrest import POSTGRES
from slipway_backup.programs import clean, identity, lines, run, size
from slipway_backup.settings import Settings, Site, sites
from slipway_backup.trouble import Trouble

NEWEST = "newest"
RESTORED = "_restored"
REPLACED = "_replaced_"
SWAP_SECONDS = 30.0
POLL_SECONDS = 0.1
JOBS = min(4, os.cpu_count() or 1)


def site_of(app: str) -> Site:
    """The site of that name.

    Raises:
        Trouble: there is none, or its database is not PostgreSQL's.
    """
    found = next((site for site in sites() if site.app == app), None)
    if found is None:
        raise Trouble(f"There is no site {app} on this droplet")
    if found.database != "postgresql":
        raise Trouble(
            f"The database of {app} is a file: it is backed up with the uploads, and comes back as "
            "the runbook says under 'Restore files'"
        )
    return found


def plan(settings: Settings, app: str, to: str) -> dict[str, Any]:
    """What going back to a moment would need and lose; it changes nothing.

    Args:
        to: "newest", or a moment, ISO 8601 with its zone.

    Raises:
        Trouble: no backup reaches that far back, or there is no room.
    """
    site = site_of(app)
    found = pgbackrest.info()
    moment = None if to == NEWEST else datetime.fromisoformat(to)
    usable = [each for each in found if moment is None or _stop(each) <= moment]
    if not found:
        raise Trouble("There is no backup yet. Run: invoke backup")
    if not usable:
        raise Trouble(
            f"No backup reaches back to {_shown(moment)}: the oldest was done at "
            f"{_shown(_stop(found[0]))}"
        )
    now = datetime.now(UTC)
    if moment is not None and moment > now:
        raise Trouble(f"{_shown(moment)} is still to come: it is {_shown(now)}")
    backup = usable[-1]
    bytes_ = int(query(f"SELECT coalesce(pg_database_size({_quoted(site.app)}), 0)"))
    # The scratch cluster, the dump, and the database in the cluster that serves.
    needed = backup["info"]["size"] + 2 * bytes_
    scratch.check_room(settings, needed, f"Going back to {_shown(moment)}")
    return {
        "app": site.app,
        "to": to,
        "backup": backup["label"],
        "backup_at": _stop(backup).isoformat(),
        "backup_bytes": backup["info"]["size"],
        "database_bytes": bytes_,
        "lost_seconds": round((now - moment).total_seconds()) if moment else 0,
        "written": json.loads(query(WRITTEN, database=site.app)),
        "written_then": _written_then(settings, backup["label"], site.app),
        "replaced": replaced(site.app),
    }


def prepare(settings: Settings, events: Events, app: str, to: str, migrate: bool) -> dict[str, Any]:
    """Make ``<app>_restored``: the site's database as it was.

    Args:
        migrate: let the live release migrate it, where it was older then.

    Raises:
        Trouble: it did not work; the site's database is as it was, and so is everything else.
    """
    site = site_of(app)
    drop(app + RESTORED)
    found = plan(settings, app, to)
    began = time.monotonic()
    options = (f"--set={found['backup']}", *_target(to), "--target-action=promote")
    preload = query("SHOW shared_preload_libraries")
    whole = found["backup_bytes"]
    try:
        with scratch.restored(settings, events, options, preload, whole) as socket:
            if query(f"SELECT 1 FROM pg_database WHERE datname = {_quoted(app)}", socket) != "1":
                raise Trouble(f"There was no database {app} at that moment")
            _fit(events, site, socket, migrate)
            events.note(
                f"recovered in {time.monotonic() - began:.1f} s; copying the database of {app}"
            )
            _copy(settings, events, site, socket)
    except Trouble:
        drop(app + RESTORED)
        raise
    return {**found, "seconds": round(time.monotonic() - began, 1)}


def _fit(events: Events, site: Site, socket: Path, migrate: bool) -> None:
    """See to it that the live release can live with the restored database.

    Raises:
        Trouble: it cannot, and nobody said that it may migrate it.
    """
    release = site.release
    if release is None or project.fits(site, release, socket):
        return
    if not migrate:
        raise Trouble(
            f"The database of that moment lacks migrations of {release}, which is live. Go back to "
            "a release of that time first, invoke rollback ID, or let the live one migrate it: add "
            "--migrate"
        )
    events.note(f"release {release} migrates it")
    project.migrate(site, release, socket)


def swap(app: str) -> dict[str, Any]:
    """Put ``<app>_restored`` in the place of the site's database, which is kept under another name.

    Both names change in one transaction. Who is connected is sent away; who comes meanwhile waits.

    Raises:
        Trouble: there is none to put there, or somebody could not be sent away; nothing changed.
    """
    kept = f"{app}{REPLACED}{datetime.now(UTC):%Y%m%dT%H%M%S}"
    statements = (
        "BEGIN",
        # Less than it takes PostgreSQL to give up on sessions that do not go: five seconds.
        f'ALTER DATABASE "{app}" RENAME TO "{kept}"',
        f'ALTER DATABASE "{app}{RESTORED}" RENAME TO "{app}"',
        "COMMIT",
    )
    argv = ("psql", "-XAtq", "--set=ON_ERROR_STOP=1", "-h", SOCKET, "-d", "postgres")
    until = time.monotonic() + SWAP_SECONDS
    while True:
        with _sent_away(app):
            done = run((*argv, *(f"--command={each}" for each in statements)), user=POSTGRES)
        if done.returncode == 0:
            return {"kept": kept}
        if "is being accessed by other users" not in done.stderr or time.monotonic() > until:
            raise Trouble(f"The databases could not change places: {lines(done)[-1]}", lines(done))


@contextmanager
def _sent_away(app: str) -> Iterator[None]:
    """End the sessions of a database again and again, while the block runs."""
    loop = (
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {_quoted(app)}"
        f" \\watch {POLL_SECONDS}"
    )
    process = subprocess.Popen(
        ["psql", "-XAtq", "-h", str(SOCKET), "-d", "postgres"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd="/",
        env=clean(),
        **identity(POSTGRES),
    )
    assert process.stdin
    process.stdin.write(loop)
    process.stdin.close()
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def replaced(app: str) -> list[dict[str, Any]]:
    """The databases that restores have replaced and kept, oldest first."""
    told = query(
        "SELECT datname || ' ' || pg_database_size(oid) FROM pg_database "
        f"WHERE starts_with(datname, {_quoted(app + REPLACED)}) ORDER BY 1"
    )
    pairs = (line.split() for line in told.splitlines())
    return [{"name": name, "bytes": int(count)} for name, count in pairs]


def forget(app: str) -> dict[str, Any]:
    """Drop what restores have replaced and kept."""
    found = replaced(site_of(app).app)
    for database in found:
        drop(database["name"])
    return {"dropped": found}


def drop(name: str) -> None:
    """Drop a database, if it is there."""
    query(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _target(to: str) -> tuple[str, str]:
    """Where recovery is to end, for pgBackRest; the log that leads there is archived first."""
    if to == NEWEST:
        # A point that has to be met shows whether all of the log is there.
        point = f"restore-{datetime.now(UTC):%Y%m%dT%H%M%S}"
        wait_until_archived(query(f"SELECT pg_create_restore_point({_quoted(point)})"))
        return "--type=name", f"--target={point}"
    # Recovery to a time ends at the first commit after it, so there has to be one.
    query("SELECT txid_current()")
    wait_until_archived(query("SELECT pg_current_wal_lsn()"))
    moment = datetime.fromisoformat(to).astimezone(UTC)
    return "--type=time", f"--target={moment:%Y-%m-%d %H:%M:%S.%f}+00"


def _copy(settings: Settings, events: Events, site: Site, socket: Path) -> None:
    """From the scratch cluster into the one that serves."""
    new, dump = site.app + RESTORED, scratch.home(settings) / "dump"
    argv = ("pg_dump", "--format=directory", "--compress=1", f"--jobs={JOBS}", f"--file={dump}")
    try:
        _postgres(events, f"dumping {site.app}", *argv, f"--host={socket}", site.app)
        query(f'CREATE DATABASE "{new}" TEMPLATE template0 {_like(site.app, socket)}')
        back = ("pg_restore", "--exit-on-error", f"--jobs={JOBS}", f"--host={SOCKET}")
        _postgres(events, f"restoring it into {new}", *back, f"--dbname={new}", str(dump))
        for statement in _own_settings(site.app, new, socket):
            query(statement)
        # Without it the first visitors would wait for plans made of guesses.
        _postgres(
            events, "counting for the planner", "vacuumdb", "--analyze-only", f"--dbname={new}"
        )
    finally:
        run(("rm", "-rf", dump))


def _postgres(events: Events, what: str, *argv: str) -> None:
    began = time.monotonic()
    events.note(what)
    done = run(
        argv,
        user=POSTGRES,
        meanwhile=lambda: events.note(f"{what}, for {time.monotonic() - began:.0f} s"),
    )
    if done.returncode != 0:
        raise Trouble(f"{argv[0]} failed: {lines(done)[-1]}", lines(done))


def _like(app: str, socket: Path) -> str:
    """Owner, encoding and collation as the database had them, as options of CREATE DATABASE."""
    return query(
        "SELECT format('OWNER %I ENCODING %L LC_COLLATE %L LC_CTYPE %L', "
        "pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype) "
        f"FROM pg_database WHERE datname = {_quoted(app)}",
        socket,
    )


def _own_settings(app: str, new: str, socket: Path) -> list[str]:
    """What was set for the database itself, which a dump does not hold."""
    told = query(
        "SELECT format('ALTER DATABASE %I SET %I TO %s', "
        f"{_quoted(new)}, split_part(each, '=', 1), "
        "quote_literal(substr(each, strpos(each, '=') + 1))) "
        "FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, "
        f"unnest(setconfig) each WHERE setrole = 0 AND datname = {_quoted(app)}",
        socket,
    )
    return told.splitlines()


def _written_then(settings: Settings, label: str, app: str) -> dict[str, Any] | None:
    """How many rows had ever been written when the backup was taken, if it was recorded."""
    record = store.read(store.record(settings, label)) or {}
    database: Mapping[str, Any] = record.get("databases", {}).get(app, {})
    return database.get("written")


def _stop(backup: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(backup["timestamp"]["stop"], UTC)


def _shown(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if moment else "now"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def summary(facts: Mapping[str, Any]) -> str:
    """What was made, for people."""
    return f"{facts['app']}{RESTORED} is ready, {size(facts['database_bytes'])}"
