"""The size of the database in bytes, and how many rows were ever written to it, if it knows."""

import json
from pathlib import Path

from django.db import DEFAULT_DB_ALIAS, connections

connection = connections[DEFAULT_DB_ALIAS]
size = written = None
if connection.vendor == "postgresql":
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        size = cursor.fetchone()[0]
        cursor.execute("SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables")
        written = int(cursor.fetchone()[0] or 0)
elif connection.vendor == "sqlite":
    file = Path(str(connection.settings_dict["NAME"]))
    size = file.stat().st_size if file.exists() else 0
print("slipway:" + json.dumps({"bytes": size, "written": written}))
