"""Counts and checksums of every table, at one moment that a recovery can be led to.

Runs as PostgreSQL's superuser. Its driver is Debian's, which the role postgres installs.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

# What writers wait for at most. Shorter than deadlock_timeout (a second), after which PostgreSQL
# would end one of those who wait for each other, and that might be a visitor's.
LOCK_MILLISECONDS = 800
TRIES = 20
PAUSE_SECONDS = 0.5
TABLES = """
SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence = 'p'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1
"""
SEQUENCES = """
SELECT format('%I.%I', schemaname, sequencename), last_value, increment_by
FROM pg_sequences WHERE NOT cycle AND schemaname !~ '^pg_temp' ORDER BY 1
"""
# The name of the row is one that no column has: a column of that name would be what is hashed.
CHECKSUM = """
SELECT count(*), coalesce(sum(hashtextextended(slipway_row::text, 0)), 0)::text
FROM ONLY {table} AS slipway_row
"""
# Rows as text read the same in both clusters only if these are the same.
SETTINGS = (
    "SET search_path = ''",
    "SET timezone = 'UTC'",
    "SET datestyle = 'ISO, YMD'",
    "SET intervalstyle = 'postgres'",
    "SET extra_float_digits = 1",
    "SET bytea_output = 'hex'",
    "SET lock_timeout = 0",
    "SET statement_timeout = 0",
    "SET idle_in_transaction_session_timeout = 0",
)
# Rows that were ever written, as PostgreSQL counts them, and which count it is: another one begins
# after a crash, and in a database that was restored.
WRITTEN = """
SELECT json_build_object(
  'rows', (SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_user_tables),
  'count', (SELECT d.oid || ' ' || a.stats_reset FROM pg_database d, pg_stat_archiver a
            WHERE d.datname = current_database()))
"""

Rows = Callable[..., list[tuple[Any, ...]]]


class Connection:
    """One session, whose transactions are begun and ended in SQL."""

    def __init__(self, socket: str, database: str) -> None:
        # Here, because the tests of the rest have no driver.
        import psycopg2

        self.busy = (psycopg2.errors.QueryCanceled, psycopg2.errors.LockNotAvailable)
        self._connection = psycopg2.connect(
            host=socket, dbname=database, user="postgres", application_name="slipway-backup"
        )
        self._connection.autocommit = True
        for setting in SETTINGS:
            self(setting)

    def __call__(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        self._connection.close()


def databases(socket: str) -> list[str]:
    """Those with something in them."""
    ask = Connection(socket, "postgres")
    found = ask("SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate")
    ask.close()
    return sorted(str(row[0]) for row in found)


def tables(ask: Rows) -> list[str]:
    return [str(row[0]) for row in ask(TABLES)]


def sequences(ask: Rows) -> dict[str, list[int]]:
    """Where each stands that was ever asked, and which way it goes."""
    return {str(row[0]): list(row[1:]) for row in ask(SEQUENCES) if row[1] is not None}


def checksums(ask: Rows, names: list[str]) -> dict[str, list[Any]]:
    """Rows and checksum of each table."""
    return {name: list(ask(CHECKSUM.format(table=name))[0]) for name in names}


def measure(socket: str) -> dict[str, Any]:
    """What is in a cluster that nobody writes to."""
    found = {}
    for database in databases(socket):
        ask = Connection(socket, database)
        found[database] = {
            "tables": checksums(ask, tables(ask)),
            "sequences": sequences(ask),
            "bytes": ask("SELECT pg_database_size(current_database())")[0][0],
        }
        ask.close()
    return found


def record(socket: str, point: str) -> dict[str, Any]:
    """Leave a named restore point in the cluster that serves, and measure what it leads to.

    Writers wait for some milliseconds: every table is locked against them, the point is made, a
    snapshot is taken, and the locks are let go. What is measured then is the snapshot. Where the
    locks are not to be had, the two moments are a little apart, and ``exact`` is false.
    """
    names = databases(socket)
    lockers = {name: Connection(socket, name) for name in names}
    readers = {name: Connection(socket, name) for name in names}
    moment: dict[str, Any] | None = None
    tries = 0
    while moment is None and tries < TRIES:
        tries += 1
        moment = _locked_moment(lockers, readers, point)
        if moment is None:
            time.sleep(PAUSE_SECONDS)
    exact = moment is not None
    moment = moment or _moment(lockers, readers, point)
    found = {}
    for name, ask in readers.items():
        found[name] = {
            "tables": checksums(ask, moment["tables"][name]),
            "sequences": moment["sequences"][name],
            "bytes": ask("SELECT pg_database_size(current_database())")[0][0],
            "written": ask(WRITTEN)[0][0],
        }
        ask("COMMIT")
    # The segment of the point goes to the archive now.
    next(iter(lockers.values()))("SELECT pg_switch_wal()")
    return {
        "point": point,
        "at": moment["at"],
        "lsn": moment["lsn"],
        "exact": exact,
        "tries": tries,
        "databases": found,
    }


def _locked_moment(
    lockers: dict[str, Connection], readers: dict[str, Connection], point: str
) -> dict[str, Any] | None:
    """The moment with all writers held; None when the locks are not to be had."""
    busy = next(iter(lockers.values())).busy
    try:
        locked = {}
        for name, ask in lockers.items():
            ask("BEGIN")
            ask(f"SET LOCAL statement_timeout = {LOCK_MILLISECONDS}")
            locked[name] = tables(ask)
            if locked[name]:
                ask(f"LOCK TABLE ONLY {', ONLY '.join(locked[name])} IN SHARE MODE")
        moment = _moment(lockers, readers, point)
    except busy:
        moment = None
    finally:
        for ask in lockers.values():
            ask("ROLLBACK")
    # A table that came in between is not measured as it is at the point.
    if moment is not None and moment["tables"] != locked:
        for ask in readers.values():
            ask("ROLLBACK")
        return None
    return moment


def _moment(
    lockers: dict[str, Connection], readers: dict[str, Connection], point: str
) -> dict[str, Any]:
    # No lock holds a sequence. What it says before the point, the recovered one says at least.
    before = {name: sequences(ask) for name, ask in lockers.items()}
    first = next(iter(lockers.values()))
    ((lsn,),) = first("SELECT pg_create_restore_point(%s)::text", point)
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    found = {}
    for name, ask in readers.items():
        ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        # The first query takes the snapshot.
        found[name] = tables(ask)
    return {"at": at, "lsn": lsn, "tables": found, "sequences": before}


def main(argv: list[str]) -> None:
    """``SOCKET [POINT]``: prints what is found as JSON."""
    socket, *point = argv
    print(json.dumps(record(socket, point[0]) if point else measure(socket)))


if __name__ == "__main__":
    main(sys.argv[1:])
