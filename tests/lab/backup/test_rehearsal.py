"""Migrations that were tried on a copy first, and a database from before they were applied."""

import json

import pytest

from tests.lab.backup.rows import sql
from tests.lab.backup.test_backup import json_of, nothing_left
from tests.lab.faults.test_schema import NAME, NOT_NULL, column_there, commit, schema_put_back
from tests.lab.site import Site

pytestmark = pytest.mark.slow

MIGRATION = f"catalog.{NAME}"
GENRES = "SELECT count(*) FROM catalog_genre WHERE name IN ('Before', 'After')"


def test_a_migration_is_tried_and_taken_back_with_what_came_after_it(debian13: Site) -> None:
    site = debian13
    assert site.invoke("deploy").code == 0
    before, revision = site.release(), site.git("rev-parse", "HEAD")
    with schema_put_back(site):
        try:
            commit(site, NOT_NULL)
            sql(site, "INSERT INTO catalog_genre (name) VALUES ('Before')")
            json_of(site, "backup")
            rehearsed = json_of(site, "migrate.rehearse")
            (migration,) = rehearsed["migrations"]
            assert migration["name"] == MIGRATION
            assert migration["seconds"] > 0
            (lock,) = [lock for lock in migration["locks"] if lock["table"] == "catalog_genre"]
            assert lock["keeps_out"] == "reading and writing"
            # The site has met nothing of it.
            assert not column_there(site)
            assert site.release() == before
            assert nothing_left(site)

            done = site.invoke("deploy", "--allow-breaking", "--json")
            assert done.code == 0, done
            release = json.loads(done.stdout)["release"]["id"]
            assert release == rehearsed["release"]
            sql(site, "INSERT INTO catalog_genre (name, shelf) VALUES ('After', 'A1')")

            # The live release needs the column that the database of then does not have.
            refused = site.invoke("restore", "--before-release", release, "--yes")
            assert refused.code == 3, refused
            assert f"lacks migrations of {release}, which is live" in refused.output
            assert sql(site, GENRES) == "2"

            put_back = ("restore", "--before-release", release, "--migrate", "--yes")
            json_of(site, *put_back)
            assert column_there(site)
            assert sql(site, GENRES) == "1"
            assert site.release() == release
        finally:
            site.invoke("restore", "--forget", "--yes")
            sql(site, "DELETE FROM catalog_genre WHERE name IN ('Before', 'After')")
            site.git("reset", "--quiet", "--hard", revision)
            site.invoke("rollback", before)
