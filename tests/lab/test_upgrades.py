"""PostgreSQL's next major version, as it comes about: a droplet of Debian 12 becomes one of 13."""

import json
import re
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab.preparations import Preparations, claim, new_site, take_down
from tests.lab.site import PREFIX, ROOT, Done, Site, run

pytestmark = [pytest.mark.lab, pytest.mark.slow]
APP = "locallibrary"
NAME = f"{PREFIX}testold"
NEXT_SYSTEM = (
    "sed -i s/bookworm/trixie/ /etc/apt/sources.list.d/*.sources && apt-get -q update && "
    "DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -q -y "
    "-o Dpkg::Options::=--force-confold full-upgrade"
)
# Every row of every table, in one number; each visit is a row in that of sessions.
EVERYTHING = """
SELECT md5(string_agg(t || md5(x), '' ORDER BY t)) FROM (
    SELECT table_name AS t, query_to_xml(format('TABLE %I ORDER BY 1', table_name), true, true, '')
        ::text AS x
    FROM information_schema.tables
    WHERE table_schema = 'public' AND table_name <> 'django_session') s
"""


@pytest.fixture(scope="module")
def site(preparations: Preparations, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site of Debian 12, with books, a day after its system became Debian 13."""
    claim(NAME)
    try:
        old = new_site(NAME, "bookworm", tmp_path_factory.mktemp("clone"))
        done = old.play(log=f"{NAME}-provision")
        assert done.code == 0, done
        done = old.invoke("deploy")
        assert done.code == 0, done
        assert old.invoke("manage", words=("load_catalog",)).code == 0
        done = old.ssh(NEXT_SYSTEM)
        assert done.code == 0, done
        assert run("invoke", "lab.reboot", "--name", NAME, cwd=ROOT).code == 0
        old.wait_until_up(60)
        yield old
    finally:
        take_down(NAME)


def sql(site: Site, statement: str) -> str:
    """What PostgreSQL's administrator is answered by the cluster in use."""
    psql = f"psql -XAtq -p 5432 -c {shlex.quote(statement)} {APP}"
    return site.ask(f"cd / && runuser -u postgres -- {psql}")


def major(site: Site) -> int:
    return int(sql(site, "SHOW server_version_num")) // 10000


def clusters(site: Site) -> dict[str, str]:
    """Which there are, and what runs of them."""
    lines = site.ask("pg_lsclusters --no-header").splitlines()
    return {" ".join(line.split()[:2]): line.split()[3] for line in lines}


@contextmanager
def visited(site: Site) -> Iterator[set[int]]:
    """What a visitor is answered while the block runs."""
    seen: set[int] = set()
    over = threading.Event()

    def visit() -> None:
        while not over.is_set():
            seen.add(site.get("/").status)

    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        yield seen
    finally:
        over.set()
        visitor.join()


def upgrade(site: Site, *options: str, code: int = 0) -> Done:
    done = site.invoke("db.upgrade", *options)
    assert done.code == code, done
    assert "Traceback" not in done.output
    return done


def test_a_run_stops_where_another_postgres_is_in_use(site: Site) -> None:
    before = clusters(site)
    done = site.play("-e", "unchanged_skip=false")
    assert done.code != 0
    assert "PostgreSQL 15 is in use, and the inventory wants 17" in done.output
    assert clusters(site) == before == {"15 main": "online"}
    assert site.play("-e", "site_postgres_version=15", "--check").code == 0


def test_an_extension_that_the_newer_one_lacks_stops_the_rehearsal(site: Site) -> None:
    folder = "/usr/share/postgresql/15/extension"
    control = "comment = 'of the tests'\\ndefault_version = '1'\\n"
    site.ask(
        f'umask 022; printf "{control}" >{folder}/bygone.control && touch {folder}/bygone--1.sql'
    )
    sql(site, "CREATE EXTENSION bygone")
    try:
        done = upgrade(site, "--yes", code=3)
        assert "lacks bygone, which" in re.sub(r"\s+", " ", done.output)
        assert done.stderr.splitlines()[-1].startswith("backed out: The upgrade cannot be done")
        assert clusters(site) == {"15 main": "online"}
    finally:
        sql(site, "DROP EXTENSION bygone")


def test_a_rehearsal_measures_while_the_site_serves(site: Site) -> None:
    everything = sql(site, EVERYTHING)
    with visited(site) as seen:
        done = upgrade(site, "--rehearse", "--json")
    assert seen == {200}
    found = json.loads(done.stdout)
    assert (found["live"], found["wanted"], found["changed"]) == (15, 17, False)
    assert found["rehearsal"]["seconds"] > 0
    assert clusters(site) == {"15 main": "online"}
    assert sql(site, EVERYTHING) == everything


def test_an_upgrade_keeps_every_row_and_has_a_way_back(site: Site) -> None:
    everything = sql(site, EVERYTHING)
    done = upgrade(site, code=2)
    assert "run: invoke db.upgrade --yes" in done.stderr
    assert "meanwhile  about " in done.stderr
    with visited(site) as seen:
        done = upgrade(site, "--yes")
    # The page of maintenance, and no error.
    assert seen == {200, 503}
    assert major(site) == 17
    assert sql(site, EVERYTHING) == everything
    assert clusters(site) == {"15 main": "down", "17 main": "online"}
    assert site.json("status")["maintenance"] is None
    # The playbook has nothing against it, and nothing to do but what the system's upgrade left.
    done = site.play("-e", "unchanged_skip=false")
    assert done.code == 0, done
    # Backups go on in the same place, and are proved.
    for task in ("backup", "backup.verify"):
        done = site.invoke(task)
        assert done.code == 0, done
    assert run("invoke", "lab.reboot", "--name", NAME, cwd=ROOT).code == 0
    site.wait_until_up(60)
    assert clusters(site) == {"15 main": "down", "17 main": "online"}
    # What is written from now on is lost on the way back, and told before.
    sql(site, "INSERT INTO catalog_genre (name) VALUES ('Upgrades')")
    done = upgrade(site, "--back", code=2)
    assert re.search(r"lost +[1-9]\d* rows", done.stderr), done
    upgrade(site, "--back", "--yes")
    assert major(site) == 15
    assert sql(site, EVERYTHING) == everything
    assert clusters(site) == {"15 main": "online", "17 main": "down"}
    assert site.get("/").status == 200


def test_the_one_not_in_use_goes_when_told(site: Site) -> None:
    done = upgrade(site, "--yes", code=2)
    assert "pg_dropcluster --stop 17 main" in done.stderr
    upgrade(site, "--finish", "--yes")
    assert clusters(site) == {"15 main": "online"}
    everything = sql(site, EVERYTHING)
    upgrade(site, "--yes")
    upgrade(site, "--finish", "--yes")
    assert clusters(site) == {"17 main": "online"}
    assert site.ssh("dpkg-query -W postgresql-15").code != 0
    assert sql(site, EVERYTHING) == everything
    assert site.get("/").status == 200
    done = upgrade(site, code=2)
    assert "the one that the inventory wants" in done.stderr
