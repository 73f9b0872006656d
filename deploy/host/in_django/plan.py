"""What migrating would do, and whether the release that serves could live with it.

The judge is django-migration-linter, which reads the SQL; the controller ships it in ``judge``.
"migrate" may follow it in the same process: it goes on only where the database is empty.
"""

import io
import json
import os
import sys

from django.conf import settings
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

asked = json.loads(os.environ["SLIPWAY"])
connection = connections[DEFAULT_DB_ALIAS]
executor = MigrationExecutor(connection)
steps = executor.migration_plan(executor.loader.graph.leaf_nodes())
applied = MigrationRecorder(connection).applied_migrations()


def sql_of(migration: Migration) -> str:
    text = io.StringIO()
    call_command("sqlmigrate", migration.app_label, migration.name, stdout=text, no_color=True)
    return text.getvalue().strip()


def breaks(sql: str) -> list[str]:
    sys.path.append(asked["judge"])
    # Here, because an empty database needs no judge.
    from django_migration_linter.sql_analyser import (
        analyse_sql_statements,
        get_sql_analyser_class,
    )

    analyser = get_sql_analyser_class(settings.DATABASES[DEFAULT_DB_ALIAS]["ENGINE"])
    errors = analyse_sql_statements(analyser, sql.splitlines())[0]
    return sorted({issue.message for issue in errors})


found = []
for migration, _ in steps:
    # Into an empty database everything may be put: nothing serves from it yet, and nobody is shown.
    sql = sql_of(migration) if applied or asked.get("whole") else ""
    found.append(
        {
            "name": f"{migration.app_label}.{migration.name}",
            "sql": sql,
            "breaks": breaks(sql) if applied else [],
        }
    )
hosts = list(settings.ALLOWED_HOSTS)
print(
    "slipway:"
    + json.dumps(
        {
            "debug": bool(settings.DEBUG),
            "allowed_hosts": hosts,
            "pending": found,
            "applied": sorted(f"{app}.{name}" for app, name in applied),
        }
    )
)
# What the release tool refuses is not migrated.
if applied or settings.DEBUG or not hosts or "*" in hosts:
    sys.exit()
