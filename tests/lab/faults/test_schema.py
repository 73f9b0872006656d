"""Rollbacks across migrations: never silent, and never to code that cannot write any more."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab.faults.changes import MIGRATIONS
from tests.lab.faults.conftest import NewRow
from tests.lab.faults.inside import APP, look, nothing_left, psql, rows_kept, whole
from tests.lab.faults.invariants import check_answers, check_releases, check_told
from tests.lab.faults.test_migrations import LAST
from tests.lab.faults.visitors import RATE, Visitors, between, describe, lost
from tests.lab.site import Site

pytestmark = pytest.mark.slow

GROUP = "Rollbacks across migrations"
# The new schema is there, and the old release is being switched to.
REVERSED_SECONDS = 3
NAME = "0004_shelf"
MODELS = "app/catalog/models.py"
MIGRATION = """\
from django.db import migrations, models


def fill(apps, schema_editor):
    apps.get_model("catalog", "Genre").objects.update(shelf="A1")


class Migration(migrations.Migration):
    dependencies = [("catalog", "{last}")]
    operations = [
        migrations.AddField("genre", "shelf", models.CharField(max_length=10, {option})),
        {more}
    ]
"""
NULLABLE, NOT_NULL = "null=True", 'default=""'
FOREVER = "migrations.RunPython(fill),"
# What an older release does day by day, and what the newer one's columns must not forbid.
INSERT = (
    f"{APP}-manage shell -c 'from catalog.models import Genre; "
    'Genre.objects.create(name="Faults"); Genre.objects.filter(name="Faults").delete()\''
)


def commit(site: Site, option: str, more: str = "") -> str:
    models = (site.clone / MODELS).read_text()
    field = f'\n\nGenre.add_to_class("shelf", models.CharField(max_length=10, {option}))\n'
    migration = MIGRATION.format(last=LAST, option=option, more=more)
    files = {MODELS: models + field, f"{MIGRATIONS}/{NAME}.py": migration}
    return site.commit(files, f"Genres have shelves ({option})")


def column_there(site: Site) -> bool:
    found = psql(
        site,
        "SELECT count(*) FROM information_schema.columns "
        "WHERE table_name = 'catalog_genre' AND column_name = 'shelf'",
    )
    return found == "1"


@contextmanager
def schema_put_back(site: Site) -> Iterator[None]:
    """The next test's revision does not have the migration; its database should not either."""
    try:
        yield
    finally:
        psql(site, "ALTER TABLE catalog_genre DROP COLUMN IF EXISTS shelf")
        psql(site, f"DELETE FROM django_migrations WHERE name = '{NAME}'")


def test_additive(site: Site, row: NewRow) -> None:
    told = row(GROUP, "a nullable column was added", "it stays, and the older code works", "A B D")
    old = site.release()
    with schema_put_back(site):
        with Visitors(site) as visitors:
            new = commit(site, NULLABLE)
            done = site.invoke("deploy")
            assert done.code == 0, done
            done = site.invoke("rollback")
            assert done.code == 0, done
            assert NAME in done.output, done
            assert site.release() == old
            site.ask(INSERT)
        assert column_there(site)
    check_answers(told, visitors.history, old, new)
    told.figures["rows kept"] = str(rows_kept(site, visitors.history))
    whole(site)
    nothing_left(site)


def test_reversible(site: Site, row: NewRow) -> None:
    told = row(
        GROUP,
        "a NOT NULL column without a default of the database was added",
        "refused until told; reversed after that, and only who comes just then meets both",
        "B D F",
    )
    old, before = site.release(), look(site)
    with schema_put_back(site), Visitors(site) as visitors:
        new = commit(site, NOT_NULL)
        check_told(site.invoke("deploy"), "--allow-breaking", NAME, codes=(2,))
        assert look(site).current == before.current
        assert not column_there(site)
        done = site.invoke("deploy", "--allow-breaking")
        assert done.code == 0, done
        live = site.release()
        done = site.invoke("rollback")
        check_told(done, "--reverse-migrations", NAME, "lost: column", codes=(2,))
        assert site.release() == live
        assert column_there(site)
        begun = time.time()
        done = site.invoke("rollback", "--reverse-migrations")
        ended = time.time()
        assert done.code == 0, done
        assert site.release() == old
        site.ask(INSERT)
        assert not column_there(site)
    # For a moment the newer code meets the older schema.
    apart = lost(between(visitors.history, begun, ended))
    told.figures["500 while it is reversed"] = str(len(apart))
    assert len(apart) < REVERSED_SECONDS * RATE
    check_answers(told, [one for one in visitors.history if one not in apart], old, new)
    told.figures["rows kept"] = str(rows_kept(site, visitors.history))
    whole(site)
    nothing_left(site)


def test_irreversible(site: Site, row: NewRow) -> None:
    told = row(
        GROUP,
        "the same, and it cannot be reversed",
        "refused, with what the restore point would cost; the restore brings its rows back",
        "B F",
    )
    old = site.release()
    with schema_put_back(site):
        with Visitors(site) as visitors:
            visitors.wait_for(2)
            early = visitors.so_far()
            new = commit(site, NOT_NULL, FOREVER)
            done = site.invoke("deploy", "--allow-breaking")
            assert done.code == 0, done
            live = site.release()
            done = site.invoke("rollback")
            check_told(done, "--restore", "rows", NAME, codes=(2,))
            assert site.release() == live
            begun = time.time()
            done = site.invoke("rollback", "--restore")
            ended = time.time()
            assert done.code == 0, done
            assert site.release() == old
            site.ask(INSERT)
            assert not column_there(site)
            visitors.wait_for(1)
        rows_kept(site, early)
    apart = lost(between(visitors.history, begun, ended))
    told.figures["requests"] = str(len(visitors.history))
    told.figures["503 during the restore"] = str(len(apart))
    strangers = [one for one in lost(visitors.history) if one not in apart]
    assert not strangers, describe(strangers)
    check_releases(visitors.history, old, new)
    whole(site)
    nothing_left(site)
