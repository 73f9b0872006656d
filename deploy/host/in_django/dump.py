"""The whole database on standard output: as SQL, by pg_dump or by SQLite itself.

With ``archive`` it is pg_dump's own format, which pg_restore reads.
"""

import json
import os
import sys
from pathlib import Path

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.postgresql.client import DatabaseClient

connection = connections[DEFAULT_DB_ALIAS]
connection.ensure_connection()
if connection.vendor == "sqlite":
    for statement in connection.connection.iterdump():
        print(statement)
    sys.exit()

major = connection.pg_version // 10000
# A newer one, which is there before an upgrade, writes what the server does not know.
program = Path(f"/usr/lib/postgresql/{major}/bin/pg_dump")
options = ["--no-owner"]
if json.loads(os.environ["SLIPWAY"]).get("archive"):
    # zstd came with 16: as small as gzip, in a fraction of the time.
    compress = "zstd:3" if major >= 16 else "1"
    options += ["--no-privileges", "--format=custom", f"--compress={compress}"]
args, env = DatabaseClient.settings_to_cmd_args_env(connection.settings_dict, [])
connection.close()
sys.stdout.flush()
# The same options as psql's: both are libpq programs.
argv = ["pg_dump", *options, *args[1:]]
os.execvpe(program if program.exists() else "pg_dump", argv, {**os.environ, **(env or {})})
