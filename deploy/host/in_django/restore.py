"""The database becomes what the SQL on standard input says, or stays as it is."""

import os
import sqlite3
import sys

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.postgresql.client import DatabaseClient

connection = connections[DEFAULT_DB_ALIAS]
if connection.vendor == "sqlite":
    # Whole in memory first: what is there is replaced page by page, in one transaction.
    restored = sqlite3.connect(":memory:")
    restored.executescript(sys.stdin.read())
    connection.ensure_connection()
    restored.backup(connection.connection)
    sys.exit()

args, env = DatabaseClient.settings_to_cmd_args_env(connection.settings_dict, [])
options = ["--quiet", "--no-psqlrc", "--single-transaction", "--set=ON_ERROR_STOP=1"]
# Tables that came after the dump would stay, and hold on to those that are replaced.
clear = ["--command=DROP OWNED BY CURRENT_USER CASCADE", "--file=-"]
command = ["psql", *options, *args[1:], *clear]
os.execvpe("psql", command, {**os.environ, **(env or {})})
