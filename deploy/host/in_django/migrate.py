"""Migrate, forwards or back, but never queue for a lock.

A migration that waits for a lock holds up every visitor who comes behind it (the lock queue of
PostgreSQL is fair), so it gives up after ``lock_timeout`` seconds and names who blocks it.
``reverse`` lists migrations to take back; without it everything is migrated.
"""

import json
import os
import sys

from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.migrations.executor import MigrationExecutor

# Locks are everybody's to see; since when and with what somebody else's session goes on is not.
BLOCKERS = """
    SELECT format('process %s of %s', pid, usename) || CASE WHEN xact_start IS NULL THEN '' ELSE
        format(', %s for %s s: %s', state, extract(epoch FROM now() - xact_start)::int,
               left(query, 80)) END
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid IN (
        SELECT pid FROM pg_locks WHERE locktype = 'relation' AND granted AND relation >= 16384)
    ORDER BY xact_start NULLS FIRST LIMIT 3
"""

asked = json.loads(os.environ["SLIPWAY"])
connection = connections[DEFAULT_DB_ALIAS]
if connection.vendor == "postgresql":
    with connection.cursor() as cursor:
        timeout = f"{asked['lock_timeout'] * 1000:.0f}ms"
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [timeout])


def take_back(names: list[str]) -> None:
    """Reverse these migrations and no other, the newest first."""
    executor = MigrationExecutor(connection)
    nodes = {tuple(name.split(".", 1)) for name in names}
    graph = executor.loader.graph
    targets = []
    for node in nodes:
        parents = [p.key for p in graph.node_map[node].parents if p.key[0] == node[0]]
        if not set(parents) & nodes:
            targets += parents or [(node[0], None)]
    plan = executor.migration_plan(targets)
    others = {(m.app_label, m.name) for m, back in plan} - nodes
    if others:
        told = ", ".join(".".join(node) for node in sorted(others))
        sys.exit(f"reversing would also take back {told}, which the older release needs")
    executor.migrate(targets, plan=plan)


try:
    if asked.get("reverse"):
        take_back(asked["reverse"])
    else:
        call_command("migrate", interactive=False, verbosity=1)
except OperationalError as error:
    if connection.vendor == "postgresql" and "lock timeout" in str(error):
        connection.close()
        with connection.cursor() as cursor:
            cursor.execute(BLOCKERS)
            blockers = [row[0] for row in cursor.fetchall()]
        # Django has begun a line about the migration that it applies.
        print("\nslipway:" + json.dumps({"blockers": blockers}))
    raise
