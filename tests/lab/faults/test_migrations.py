"""Migrations that fail or wait: the old release serves, and what is applied is told."""

import re
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab.faults.changes import MIGRATIONS
from tests.lab.faults.conftest import NewRow
from tests.lab.faults.inside import APP, look, psql, schema
from tests.lab.faults.invariants import (
    check_after,
    check_answers,
    check_audited,
    check_releases,
    check_told,
)
from tests.lab.faults.visitors import Visitors
from tests.lab.site import Done, Site

pytestmark = pytest.mark.slow

GROUP = "Migrations"
NAME = "0004_fault"
LAST = "0003_long_lists"
BLOCKER = "faults-blocker"
# lock_timeout is 5 s and is tried three times; a visitor may wait behind one try, and the queue
# that it made.
QUEUED_SECONDS = 20

MIGRATION = """\
from django.db import migrations


def first(apps, schema_editor):
    schema_editor.execute("{first}")


def second(apps, schema_editor):
    {second}


class Migration(migrations.Migration):
    atomic = {atomic}
    dependencies = [("catalog", "{last}")]
    operations = [
        migrations.RunPython(first, migrations.RunPython.noop),
        migrations.RunPython(second, migrations.RunPython.noop),
    ]
"""
TABLE = "CREATE TABLE faults_half (id integer)"
RAISE = 'raise RuntimeError("broken on purpose")'
NOTHING = "pass"
# Takes the strongest lock, and changes nothing that anybody would notice.
ALTER = "ALTER TABLE catalog_book ALTER COLUMN title DROP DEFAULT"


def commit(site: Site, first: str, second: str, atomic: bool = True) -> str:
    text = MIGRATION.format(first=first, second=second, atomic=atomic, last=LAST)
    return site.commit({f"{MIGRATIONS}/{NAME}.py": text}, "A migration that is a fault")


def deploy(site: Site) -> Done:
    """The engine cannot judge Python code and SQL, and asks to be told that it is meant."""
    return site.invoke("deploy", "--allow-breaking")


def applied(site: Site) -> bool:
    told = psql(site, f"SELECT count(*) FROM django_migrations WHERE name = '{NAME}'")
    return told != "0"


def test_an_atomic_migration_fails(site: Site, row: NewRow) -> None:
    told = row(
        GROUP, "an atomic migration fails at its second step", "the schema is as before", "A B C F"
    )
    old, before, good = site.release(), look(site), site.git("rev-parse", "HEAD")
    with Visitors(site) as visitors:
        had = schema(site)
        commit(site, TABLE, RAISE)
        done = deploy(site)
        check_told(done, f"catalog.{NAME}", "broken on purpose", codes=(3, 4))
        check_audited(site, before, "failed")
        assert schema(site) == had
        assert not applied(site)
        check_releases(visitors.so_far(), old)
        site.git("reset", "--quiet", "--hard", good)
        after = check_after(site, told, visitors)
    check_answers(told, visitors.history, old, after)


def test_a_migration_that_is_not_atomic_fails_half_way(site: Site, row: NewRow) -> None:
    told = row(
        GROUP,
        "a migration with `atomic = False` fails at its second step",
        "what is half applied is named, nothing is guessed",
        "A B C F",
    )
    old, before, good = site.release(), look(site), site.git("rev-parse", "HEAD")
    with Visitors(site) as visitors:
        commit(site, TABLE, RAISE, atomic=False)
        try:
            done = deploy(site)
            assert "faults_half" in schema(site)
            # Its first step stands, whatever django_migrations says.
            check_told(done, f"catalog.{NAME}", "broken on purpose", "atomic", codes=(3, 4))
            assert "Nothing was applied" not in done.output, done
            check_audited(site, before, "failed")
        finally:
            psql(site, "DROP TABLE IF EXISTS faults_half")
        check_releases(visitors.so_far(), old)
        site.git("reset", "--quiet", "--hard", good)
        after = check_after(site, told, visitors)
    check_answers(told, visitors.history, old, after)


@contextmanager
def table_locked(site: Site, seconds: int) -> Iterator[str]:
    """Somebody reads catalog_book in a transaction that stays open, as a report would; the pid."""
    statement = f"BEGIN; LOCK TABLE catalog_book IN ACCESS SHARE MODE; SELECT pg_sleep({seconds})"
    line = f"PGAPPNAME={BLOCKER} runuser -u postgres -- psql -d {APP} -c '{statement}'"
    unit = f"systemd-run --quiet --collect --unit={BLOCKER} sh -c {shell(line)}"
    site.ask(unit)
    holder = f"SELECT pid FROM pg_stat_activity WHERE application_name = '{BLOCKER}'"
    while not (process := psql(site, holder)):
        time.sleep(0.1)
    try:
        yield process
    finally:
        # Its server process would sleep on, and hold the lock, without anybody at its other end.
        psql(site, f"SELECT pg_terminate_backend({process})")
        site.ssh(f"systemctl stop {BLOCKER}")


def shell(line: str) -> str:
    return shlex.quote(line)


def test_a_migration_waits_for_a_lock_in_vain(site: Site, row: NewRow) -> None:
    told = row(
        GROUP,
        "somebody holds a lock that a migration needs",
        "each try gives up within lock_timeout, the blocker is named, nobody is lost",
        "A B C F",
    )
    old, before, good = site.release(), look(site), site.git("rev-parse", "HEAD")
    with Visitors(site) as visitors:
        commit(site, ALTER, NOTHING)
        with table_locked(site, 120) as holder:
            begun = time.monotonic()
            done = deploy(site)
            told.figures["refused after"] = f"{time.monotonic() - begun:.0f} s"
        check_told(done, f"catalog.{NAME}", "lock", f"process {holder} ", codes=(3,))
        check_audited(site, before, "failed")
        assert not applied(site)
        check_releases(visitors.so_far(), old)
        site.git("reset", "--quiet", "--hard", good)
        after = check_after(site, told, visitors)
    check_answers(told, visitors.history, old, after)
    assert max(one.seconds for one in visitors.history) < QUEUED_SECONDS


def test_a_lock_that_is_let_go_is_waited_for(site: Site, row: NewRow) -> None:
    told = row(
        GROUP, "the same, and it is let go after 12 s", "the deploy goes on and succeeds", "A B"
    )
    old, good = site.release(), site.git("rev-parse", "HEAD")
    try:
        with Visitors(site) as visitors:
            struck = commit(site, ALTER, NOTHING)
            with table_locked(site, 12):
                done = deploy(site)
            assert done.code == 0, done
            found = re.search(r"done +([\d.]+) s  migrate", done.output)
            assert found, done
            told.figures["migrated in"] = f"{float(found[1]):.0f} s"
            assert applied(site)
        check_answers(told, visitors.history, old, struck)
    finally:
        forget_migration(site)
        site.git("reset", "--quiet", "--hard", good)
    # What is live next does not know it: the next test's revision brings one of that name.
    done = site.invoke("deploy")
    assert done.code == 0, done


def forget_migration(site: Site) -> None:
    """So that the next test's revision, which does not have it, starts from the same database."""
    psql(site, f"DELETE FROM django_migrations WHERE name = '{NAME}'")


def test_the_disk_is_full_while_a_migration_writes(site: Site, row: NewRow) -> None:
    """Its rows go to a tablespace on a small file system of its own."""
    told = row(
        GROUP,
        "the database's disk is full while a migration writes",
        "nothing of it stays",
        "A B C D F",
    )
    old, before, good = site.release(), look(site), site.git("rev-parse", "HEAD")
    place = "/var/lib/postgresql/faults"
    fill = (
        "CREATE TABLE faults_full TABLESPACE faults AS "
        "SELECT repeat('x', 1000) FROM generate_series(1, 100000)"
    )
    site.ask(
        f"mkdir -p {place} && mount -t tmpfs -o size=8m,mode=700,uid=$(id -u postgres),"
        f"gid=$(id -g postgres) tmpfs {place}"
    )
    try:
        psql(site, f"CREATE TABLESPACE faults LOCATION '{place}'")
        psql(site, "GRANT CREATE ON TABLESPACE faults TO PUBLIC")
        with Visitors(site) as visitors:
            had = schema(site)
            commit(site, fill, NOTHING)
            done = deploy(site)
            check_told(done, f"catalog.{NAME}", "No space left", codes=(3, 4))
            check_audited(site, before, "failed")
            assert schema(site) == had
            check_releases(visitors.so_far(), old)
            site.git("reset", "--quiet", "--hard", good)
            after = check_after(site, told, visitors)
        check_answers(told, visitors.history, old, after)
    finally:
        psql(site, "DROP TABLESPACE IF EXISTS faults")
        site.ask(f"umount {place}")
