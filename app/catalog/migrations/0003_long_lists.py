from django.db import migrations, models

from catalog.operations import AddIndexBeside, PostgreSQL


def search_index(table, *columns):
    """What `icontains` asks for, found by the groups of three letters in it."""
    name = f"{table}_search"
    upper = ", ".join(f"upper({column}) gin_trgm_ops" for column in columns)
    drop = f"DROP INDEX CONCURRENTLY IF EXISTS {name}"
    return PostgreSQL(
        [drop, f"CREATE INDEX CONCURRENTLY {name} ON {table} USING gin ({upper})"], [drop]
    )


class Migration(migrations.Migration):
    """Pages of long lists read their rows in the order of an index."""

    atomic = False  # an index that is made beside those who write cannot be in a transaction
    dependencies = [("catalog", "0002_librarians")]

    operations = [
        AddIndexBeside("book", models.Index(fields=["title", "id"], name="book_title")),
        AddIndexBeside("book", models.Index(fields=["added", "id"], name="book_added")),
        AddIndexBeside(
            "author", models.Index(fields=["last_name", "first_name", "id"], name="author_name")
        ),
        AddIndexBeside(
            "bookinstance",
            models.Index(fields=["status", "due_back", "id"], name="copy_status_due_id"),
        ),
        migrations.RemoveIndex("bookinstance", "copy_status_due"),
        PostgreSQL("CREATE EXTENSION IF NOT EXISTS pg_trgm", migrations.RunSQL.noop),
        search_index("catalog_book", "title"),
        search_index("catalog_author", "first_name", "last_name"),
    ]
