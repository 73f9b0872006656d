"""The whole database as SQL on standard output, by pg_dump, or by SQLite itself."""

import os
import sys

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.postgresql.client import DatabaseClient

connection = connections[DEFAULT_DB_ALIAS]
if connection.vendor == "sqlite":
    connection.ensure_connection()
    for statement in connection.connection.iterdump():
        print(statement)
    sys.exit()

args, env = DatabaseClient.settings_to_cmd_args_env(connection.settings_dict, [])
sys.stdout.flush()
# The same options as psql's: both are libpq programs.
os.execvpe("pg_dump", ["pg_dump", "--no-owner", *args[1:]], {**os.environ, **(env or {})})
