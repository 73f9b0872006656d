"""What migrating would do, and whether the release that serves could live with it.

The judge is django-migration-linter, which reads the SQL; the controller ships it in ``judge``.
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
sys.path.append(asked["judge"])
from django_migration_linter.sql_analyser import (  # noqa: E402
    analyse_sql_statements,
    get_sql_analyser_class,
)

connection = connections[DEFAULT_DB_ALIAS]
executor = MigrationExecutor(connection)
steps = executor.migration_plan(executor.loader.graph.leaf_nodes())
applied = MigrationRecorder(connection).applied_migrations()
analyser = get_sql_analyser_class(settings.DATABASES[DEFAULT_DB_ALIAS]["ENGINE"])


def sql_of(migration: Migration) -> str:
    text = io.StringIO()
    call_command("sqlmigrate", migration.app_label, migration.name, stdout=text, no_color=True)
    return text.getvalue().strip()


found = []
for migration, _ in steps:
    # Into an empty database everything may be put: nothing serves from it yet, and nobody is shown.
    sql = sql_of(migration) if applied or asked.get("whole") else ""
    errors = analyse_sql_statements(analyser, sql.splitlines())[0] if applied else []
    found.append(
        {
            "name": f"{migration.app_label}.{migration.name}",
            "sql": sql,
            "breaks": sorted({issue.message for issue in errors}),
        }
    )
print(
    "slipway:"
    + json.dumps(
        {
            "debug": bool(settings.DEBUG),
            "allowed_hosts": list(settings.ALLOWED_HOSTS),
            "pending": found,
            "applied": sorted(f"{app}.{name}" for app, name in applied),
        }
    )
)
