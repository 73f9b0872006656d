"""Rows that are written while backups run, and which of them are there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.site import Site

APP = "locallibrary"
TABLE = "backup_rows"
UNIT = "backup-writer"


def sql(site: Site, statement: str, database: str = APP) -> str:
    """What PostgreSQL's superuser gets for it."""
    return site.ask(f'cd / && runuser -u postgres -- psql -XAtq -d {database} -c "{statement}"')


@contextmanager
def written(site: Site) -> Iterator[None]:
    """A table that gets a row in each twentieth of a second, each in a transaction of its own."""
    begin(site)
    try:
        yield
    finally:
        site.ssh(f"systemctl stop {UNIT}")
        site.ssh(f"cd / && runuser -u postgres -- psql -d {APP} -c 'DROP TABLE IF EXISTS {TABLE}'")


def begin(site: Site) -> None:
    """A new table, and rows coming."""
    sql(
        site,
        f"DROP TABLE IF EXISTS {TABLE}; CREATE TABLE {TABLE} (id bigserial PRIMARY KEY, "
        f"at timestamptz NOT NULL, noise text); ALTER TABLE {TABLE} OWNER TO {APP}",
    )
    write(site)


def write(site: Site) -> None:
    """Let rows come; a restore sends away who writes them."""
    row = "clock_timestamp(), repeat(md5(random()::text), 9)"
    insert = f"INSERT INTO {TABLE} (at, noise) SELECT {row}"
    site.ask(
        f"systemctl is-active --quiet {UNIT} || "
        f"systemd-run --quiet --collect --unit={UNIT} --property=User=postgres "
        f"sh -c \"echo '{insert} \\watch 0.05' | psql -Xq -d {APP}\""
    )


def count(site: Site, database: str = APP) -> int:
    return int(sql(site, f"SELECT count(*) FROM {TABLE}", database))


def exact(site: Site, moment: str, kept: str) -> None:
    """The site's rows are those until the moment, all of them and no other.

    Args:
        moment: as PostgreSQL reads it.
        kept: the database that was replaced, which has the later ones.
    """
    until = f"SELECT count(*) FROM {TABLE} WHERE at <= '{moment}'::timestamptz"
    there = count(site)
    assert there == int(sql(site, until)), "a later row is there"
    # A row was given its time a moment before it was committed.
    assert int(sql(site, f"{until} - interval '100 ms'", kept)) <= there
    assert there <= int(sql(site, until, kept)) < count(site, kept)
