"""The whole database as SQL on standard output, by pg_dump."""

import os
import sys

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.postgresql.client import DatabaseClient

settings = connections[DEFAULT_DB_ALIAS].settings_dict
args, env = DatabaseClient.settings_to_cmd_args_env(settings, [])
sys.stdout.flush()
# The same options as psql's: both are libpq programs.
os.execvpe("pg_dump", ["pg_dump", "--no-owner", *args[1:]], {**os.environ, **(env or {})})
