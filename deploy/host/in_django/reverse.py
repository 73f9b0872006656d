"""What taking migrations back would mean: could it stay, could it be reversed, what is lost."""

import io
import json
import os
import sys
from collections.abc import Iterator

from django.conf import settings
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import AddField, CreateModel

asked = json.loads(os.environ["SLIPWAY"])
sys.path.append(asked["judge"])
from django_migration_linter.sql_analyser import (  # noqa: E402
    analyse_sql_statements,
    get_sql_analyser_class,
)

connection = connections[DEFAULT_DB_ALIAS]
loader = MigrationLoader(connection)
analyser = get_sql_analyser_class(settings.DATABASES[DEFAULT_DB_ALIAS]["ENGINE"])


def count(table: str, column: str, unit: str) -> str:
    quote = connection.ops.quote_name
    what = f"count({quote(column)})" if column else "count(*)"
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {what} FROM {quote(table)}")
            return f"{cursor.fetchone()[0]} {unit}"
    except DatabaseError:
        return "renamed or removed since"


def losses(migration: Migration) -> Iterator[str]:
    """The tables and columns that would go, with the rows and values in them."""
    state = loader.project_state((migration.app_label, migration.name)).apps
    for operation in migration.operations:
        if isinstance(operation, CreateModel):
            table = state.get_model(migration.app_label, operation.name)._meta.db_table
            yield f"table {table}: {count(table, '', 'rows')}"
        elif isinstance(operation, AddField):
            meta = state.get_model(migration.app_label, operation.model_name)._meta
            column = meta.get_field(operation.name).column
            if column:
                yield f"column {meta.db_table}.{column}: {count(meta.db_table, column, 'values')}"


found = []
for name in asked["migrations"]:
    node = tuple(name.split(".", 1))
    if node not in loader.applied_migrations:
        continue
    migration = loader.get_migration(*node)
    sql = io.StringIO()
    call_command("sqlmigrate", *node, stdout=sql, no_color=True)
    errors = analyse_sql_statements(analyser, sql.getvalue().splitlines())[0]
    reversible = all(operation.reversible for operation in migration.operations)
    found.append(
        {
            "name": name,
            "breaks": sorted({issue.message for issue in errors}),
            "reversible": reversible,
            "losses": list(losses(migration)) if reversible else [],
        }
    )
print("slipway:" + json.dumps({"migrations": found}))
