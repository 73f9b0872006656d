"""What migrations do to a library that is open: nobody who writes has to wait for an index."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db.migrations.operations import AddIndex, RunSQL


def on_postgresql(schema_editor):
    return schema_editor.connection.vendor == "postgresql"


class AddIndexBeside(AddIndexConcurrently):
    """Concurrently where the database can; what a try that was cut off left is made anew."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if not on_postgresql(schema_editor):
            AddIndex.database_forwards(self, app_label, schema_editor, from_state, to_state)
            return
        name = schema_editor.quote_name(self.index.name)
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        if not on_postgresql(schema_editor):
            AddIndex.database_backwards(self, app_label, schema_editor, from_state, to_state)
            return
        super().database_backwards(app_label, schema_editor, from_state, to_state)


class PostgreSQL(RunSQL):
    """Statements that other databases are not told."""

    def _run_sql(self, schema_editor, sqls):
        if on_postgresql(schema_editor):
            super()._run_sql(schema_editor, sqls)
