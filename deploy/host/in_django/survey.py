"""What a copy of the database would have to know of it: its kind, size, rows and extensions."""

import json

from django.db import DEFAULT_DB_ALIAS, connections

connection = connections[DEFAULT_DB_ALIAS]
found = {"vendor": connection.vendor}
if connection.vendor == "postgresql":
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        found["bytes"] = cursor.fetchone()[0]
        # As PostgreSQL counts along: to count them anew could take minutes.
        cursor.execute("SELECT count(*), sum(n_live_tup) FROM pg_stat_user_tables")
        found["tables"], rows = cursor.fetchone()
        found["rows"] = int(rows or 0)
        cursor.execute("SELECT extname FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1")
        found["extensions"] = [row[0] for row in cursor.fetchall()]
    found["major"] = connection.pg_version // 10000
print("slipway:" + json.dumps(found))
