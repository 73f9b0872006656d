"""A database copied from one droplet into another: from PostgreSQL 15 into 17, whole and unseen."""

import json
import os
import shlex
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.lab.inventories import hosts
from tests.lab.site import Done, Site

pytestmark = pytest.mark.slow
APP = "locallibrary"
PERSONAL = "@people.example"
# Rows enough that a copy takes seconds.
PEOPLE = 200_000
SEED = f"""
INSERT INTO auth_user (username, email, first_name, last_name, password, is_superuser, is_staff,
                       is_active, date_joined)
SELECT 'person' || n, 'person' || n || '{PERSONAL}', 'Ada', md5(n::text), md5(n::text), false,
       false, true, now() FROM generate_series(1, {PEOPLE}) n;
"""


def sql(site: Site, statement: str, database: str = APP) -> str:
    """What PostgreSQL's administrator is answered."""
    return site.ask(
        f"cd / && runuser -u postgres -- psql -XAtqc {shlex.quote(statement)} {database}"
    )


def databases(site: Site) -> list[str]:
    names = sql(site, "SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1")
    return [name for name in names.splitlines() if name != "postgres"]


def people(site: Site) -> int:
    return int(sql(site, f"SELECT count(*) FROM auth_user WHERE email LIKE '%{PERSONAL}'"))


@pytest.fixture(scope="module")
def source(debian12: Site, debian13: Site) -> Iterator[Site]:
    """Debian 12's droplet, with people in its database, as the other's clone knows it."""
    facts = {
        "ansible_host": debian12.address,
        "environment_name": debian12.name,
        "site_domains": [debian12.domain],
        "site_live_data": True,
    }
    inventory = f"---\n{yaml.safe_dump(hosts(debian12.name, facts))}"
    before = debian13.git("rev-parse", "HEAD")
    debian13.commit({f"inventory/{debian12.name}.yml": inventory}, "Know the other droplet")
    assert debian12.invoke("deploy").code == 0
    assert debian13.invoke("deploy").code == 0
    sql(debian12, SEED)
    try:
        yield replace(debian12, clone=debian13.clone)
    finally:
        sql(debian12, f"DELETE FROM auth_user WHERE email LIKE '%{PERSONAL}'")
        debian13.git("reset", "--quiet", "--hard", before)


@pytest.fixture
def site(source: Site, debian13: Site) -> Iterator[Site]:
    """Debian 13's droplet, which has its own database again afterwards, and no other."""
    sql(debian13, "CREATE TABLE IF NOT EXISTS own AS SELECT 42 AS answer")
    yield debian13
    if sql(debian13, "SELECT to_regclass('own') IS NULL") == "t":
        assert debian13.invoke("db.back", "--yes").code == 0
    sql(debian13, "DROP TABLE own")
    debian13.invoke("db.forget", "--yes")


def pull(site: Site, source: Site, *options: str) -> Done:
    return site.invoke("db.pull", "--from", source.name, *options)


def refused(done: Done, sentence: str) -> None:
    assert done.code == 2, done
    assert sentence in done.stderr.splitlines()[-1], done
    assert "Traceback" not in done.output


def unharmed(site: Site, release: str) -> None:
    """The site has its own database and serves from it, and nothing lies beside it."""
    assert databases(site) == [APP]
    assert sql(site, "SELECT answer FROM own") == "42"
    assert sql(site, "SELECT count(*) FROM pg_roles WHERE rolname LIKE '%incoming'") == "0"
    assert site.json("status")["maintenance"] is None
    assert site.release() == release


def wait_for(site: Site, question: str, answer: str, seconds: float = 60) -> None:
    """Ask PostgreSQL until it answers so."""
    until = time.monotonic() + seconds
    while (found := sql(site, question, "postgres")) != answer:
        assert time.monotonic() < until, found


# A visitor's eyes: what the site's own database has of people, again and again until a file comes.
WATCH = f"""
until [ -e /tmp/watched ]; do
    runuser -u {APP} -- psql -XAtq {APP} -c "SELECT count(*) FROM auth_user
        WHERE email LIKE '%{PERSONAL}'" 2>/dev/null
done | sort -n | uniq -c > /tmp/seen; touch /tmp/over
"""


def test_nobody_sees_a_personal_row_at_any_time(site: Site, source: Site) -> None:
    watch = f"setsid sh -c {shlex.quote(WATCH)} </dev/null >/dev/null 2>&1 &"
    site.ask(f"rm -f /tmp/watched /tmp/over; {watch}")
    done = pull(site, source, "--yes")
    site.ask("touch /tmp/watched; until [ -e /tmp/over ]; do sleep 0.1; done")
    assert done.code == 0, done
    assert f"from       {source.name}: " in done.stderr
    assert "anonymise  hooks/anonymise.sql of " in done.stderr
    # Times that it looked, and what it saw: nobody.
    seen = [line.split() for line in site.ask("cat /tmp/seen").splitlines()]
    assert [count for _, count in seen] == ["0"], seen
    assert int(seen[0][0]) > 20
    # They are all here, and nobody any more.
    assert int(sql(site, "SELECT count(*) FROM auth_user")) >= PEOPLE
    assert sql(site, "SELECT DISTINCT split_part(email, '@', 2) FROM auth_user") == (
        f"{site.name}.invalid"
    )
    # Nor do they lie in its files, as rows that were changed do in PostgreSQL.
    sql(site, "CHECKPOINT")
    folder = sql(site, f"SELECT 'base/' || oid FROM pg_database WHERE datname = '{APP}'")
    place = sql(site, "SHOW data_directory")
    assert site.ssh(f"grep -rlF {PERSONAL} {place}/{folder}").code == 1
    # The site serves from it, and what it replaced is kept.
    assert site.get("/").status == 200
    found = site.json("db")
    assert [each["name"] for each in found["replaced"]] == databases(site)[1:]
    entry = json.loads(site.ask(f"grep replaced /srv/{APP}/deploys.jsonl | tail -n 1"))
    assert (entry["came_from"], entry["kept"]) == (source.name, found["replaced"][0]["name"])
    # And comes back.
    done = site.invoke("db.back", "--yes")
    assert done.code == 0, done
    assert sql(site, "SELECT answer FROM own") == "42"
    assert site.get("/").status == 200


def test_the_plan_is_shown_and_asked_for(site: Site, source: Site) -> None:
    release = site.release()
    done = pull(site, source)
    refused(done, "run: invoke db.pull --yes")
    assert "replaces   " in done.stderr
    done = pull(site, source, "--json")
    plan = json.loads(done.stdout)
    assert (plan["changed"], plan["from"]["major"], plan["into"]["major"]) == (False, 15, 17)
    assert plan["from"]["rows"] >= PEOPLE
    unharmed(site, release)


def test_live_data_is_replaced_only_by_name_and_never_by_a_newer_one(
    site: Site, source: Site
) -> None:
    before = databases(source), people(source)
    push = ("db.push", "--to", source.name, "--yes")
    refused(site.invoke(*push), f"--replace {source.name}")
    refused(site.invoke(*push, "--replace", "staging"), f"is not {source.name}")
    refused(site.invoke(*push, "--replace", source.name), "has 15, which cannot read")
    refused(site.invoke("db.push", "--to", site.name, "--yes"), "into itself")
    refused(site.invoke("db.push", "--to", "nowhere"), "No environment nowhere")
    refused(site.invoke("db.pull"), "invoke db.pull --from production")
    assert (databases(source), people(source)) == before


def test_without_a_hook_nothing_comes(site: Site, source: Site) -> None:
    release = site.release()
    hooks = f"/srv/{APP}/current/app/hooks"
    source.ask(f"mv {hooks}/anonymise.sql {hooks}/away.sql")
    try:
        done = pull(site, source, "--yes")
    finally:
        source.ask(f"mv {hooks}/away.sql {hooks}/anonymise.sql")
    refused(done, "--no-anonymise")
    unharmed(site, release)


def test_a_hook_gets_into_nothing_but_the_copy(site: Site, source: Site, tmp_path: Path) -> None:
    release = site.release()
    hook = tmp_path / "hostile.sql"
    hook.write_text("RESET ROLE;\n\\! ls /srv /root\nSELECT * FROM pg_authid;\n")
    done = pull(site, source, "--yes", "--anonymise", str(hook))
    assert done.code == 3, done
    assert "permission denied for table pg_authid" in done.stderr.splitlines()[-1]
    assert done.stderr.count("Permission denied") == 2
    unharmed(site, release)
    # Whoever deploys cannot exchange databases at all.
    done = site.ssh(f"sudo -n /usr/local/sbin/slipway-database show {APP}", user="deploy")
    assert done.code != 0
    assert "password is required" in done.output


@pytest.mark.parametrize("moment", ["restore", "anonymise"])
def test_a_run_that_is_killed_leaves_everything_as_it_was(
    site: Site, source: Site, tmp_path: Path, moment: str
) -> None:
    release = site.release()
    hook = tmp_path / "slow.sql"
    hook.write_text("SELECT pg_sleep(600);\nUPDATE auth_user SET email = '';\n")
    running = site.start(
        "db.pull", "--from", source.name, "--yes", "--anonymise", str(hook), session=True
    )
    try:
        if moment == "restore":
            wait_for(site, "SELECT count(*) > 0 FROM pg_stat_progress_copy", "t")
        else:
            hooks = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{APP}_incoming' AND"
            wait_for(site, f"{hooks} query LIKE 'SELECT pg_sleep%'", "1")
        assert people(source) == PEOPLE
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    assert sql(site, "SELECT answer FROM own") == "42"
    assert site.release() == release
    # What is half made goes with who made it, or with the next run.
    if moment == "restore":
        wait_for(site, f"SELECT count(*) FROM pg_database WHERE datname = '{APP}_incoming'", "0")
        unharmed(site, release)
    done = pull(site, source, "--yes")
    assert done.code == 0, done
    assert people(site) == 0
    assert int(sql(site, "SELECT count(*) FROM auth_user")) >= PEOPLE


def test_a_source_that_breaks_off_is_named(site: Site, source: Site) -> None:
    release = site.release()
    lock = "BEGIN; LOCK TABLE auth_user; SELECT pg_sleep(600)"
    source.ask(
        f"cd /; setsid runuser -u postgres -- psql -Xq {APP} -c {shlex.quote(lock)} "
        "</dev/null >/dev/null 2>&1 &"
    )
    running = site.start("db.pull", "--from", source.name, "--yes", session=True)
    try:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND"
        wait_for(source, f"{waiting} application_name = 'pg_dump'", "1")
        source.ask("pkill -KILL -x pg_dump")
        said, _ = running.communicate(timeout=120)
    finally:
        ending = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN;%'"
        sql(source, ending)
    assert running.returncode == 3, said
    assert f"backed out: The database of {source.name} broke off" in said
    unharmed(site, release)


def test_an_archive_goes_into_a_file_and_out_of_it(
    site: Site, source: Site, tmp_path: Path
) -> None:
    file = tmp_path / "library.dump"
    into = ("--file", str(file))
    refused(pull(site, source, *into), "--no-anonymise")
    assert not file.exists()
    done = pull(site, source, *into, "--no-anonymise")
    assert done.code == 0, done
    refused(site.invoke("db.push", *into, "--to", site.name, "--yes"), "--no-anonymise")
    done = site.invoke("db.push", *into, "--to", site.name, "--yes", "--no-anonymise")
    assert done.code == 0, done
    assert people(site) == PEOPLE
    assert site.get("/").status == 200
