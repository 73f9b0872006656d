"""Applies a release's pending migrations one by one, and tells what each of them did.

Run by manage.py's shell in the release, against a scratch cluster. Locks are read just before a
migration's transaction ends: then it holds all that it ever took.
"""

import json
import time
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor

# What keeps out readers, or writers; the strongest first.
STRONG = {
    "AccessExclusiveLock": "reading and writing",
    "ExclusiveLock": "writing",
    "ShareRowExclusiveLock": "writing",
    "ShareLock": "writing",
}
LOCKS = """
    SELECT l.relation::regclass::text, l.mode, pg_total_relation_size(l.relation)
    FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
    WHERE l.pid = pg_backend_pid() AND l.granted AND c.relkind IN ('r', 'p')
      AND c.relnamespace <> 'pg_catalog'::regnamespace
"""
FILES = "SELECT oid::regclass::text, relfilenode FROM pg_class WHERE relkind = 'r'"

connection = connections[DEFAULT_DB_ALIAS]
editor = connection.SchemaEditorClass
leave = editor.__exit__
held: dict[str, tuple[str, int]] = {}


def rows(question: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return list(cursor.fetchall())


def leave_and_tell(self: Any, kind: Any, error: Any, traceback: Any) -> None:
    """What it has deferred to its end is done first, so that its locks are seen as well."""
    if kind is None:
        for statement in self.deferred_sql:
            self.execute(statement)
        self.deferred_sql = []
        found = rows(LOCKS)
        for strong, keeps_out in reversed(STRONG.items()):
            held.update({name: (keeps_out, size) for name, mode, size in found if mode == strong})
    leave(self, kind, error, traceback)


editor.__exit__ = leave_and_tell
executor = MigrationExecutor(connection)
steps = executor.migration_plan(executor.loader.graph.leaf_nodes())
found = []
for migration, _ in steps:
    held.clear()
    before = dict(rows(FILES))
    began = time.monotonic()
    executor = MigrationExecutor(connection)
    executor.migrate([(migration.app_label, migration.name)])
    took = time.monotonic() - began
    after = dict(rows(FILES))
    found.append(
        {
            "name": f"{migration.app_label}.{migration.name}",
            "seconds": round(took, 3),
            "atomic": migration.atomic,
            "locks": [
                {"table": table, "keeps_out": kept_out, "bytes": size}
                for table, (kept_out, size) in sorted(held.items())
                if table in before
            ],
            "rewritten": sorted(
                table for table in before if after.get(table, before[table]) != before[table]
            ),
        }
    )
print("slipway:" + json.dumps(found))
