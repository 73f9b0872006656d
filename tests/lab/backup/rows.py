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
    sql(
        site,
        f"DROP TABLE IF EXISTS {TABLE}; CREATE TABLE {TABLE} (id bigserial PRIMARY KEY, "
        f"at timestamptz NOT NULL, noise text); ALTER TABLE {TABLE} OWNER TO {APP}",
    )
    write(site)
    try:
        yield
    finally:
        site.ssh(f"systemctl stop {UNIT}")
        site.ssh(f"cd / && runuser -u postgres -- psql -d {APP} -c 'DROP TABLE IF EXISTS {TABLE}'")


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
    """The site's rows are those until the moment, without a gap; the next came after it.

    Args:
        moment: as PostgreSQL reads it.
        kept: the database that was replaced, which has the later ones.
    """
    there = f"SELECT count(*) = max(id) AND max(at) <= '{moment}'::timestamptz FROM {TABLE}"
    assert sql(site, there) == "t"
    last = sql(site, f"SELECT max(id) FROM {TABLE}")
    # It was given its time a moment before it was committed.
    after = f"at > '{moment}'::timestamptz - interval '100 ms'"
    later = f"SELECT {after} FROM {TABLE} WHERE id = {last} + 1"
    assert sql(site, later, kept) == "t"
