"""A backup, its proof and the way back, on a droplet that is being written to."""

import json
import stat
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.backup.rows import APP, count, exact, sql, written
from tests.lab.site import Site

pytestmark = pytest.mark.lab

STATE = "/var/lib/slipway-backup"
SECRETS = (
    "/etc/slipway-backup/key",
    "/etc/pgbackrest/conf.d/key.conf",
    "/etc/pgbackrest/pgbackrest.conf",
    "/var/backups/slipway/postgresql",
    "/var/backups/slipway/files",
    f"{STATE}/records",
)


@pytest.fixture(scope="module")
def site(debian13: Site) -> Iterator[Site]:
    """The droplet with a live release, and rows coming all the time."""
    done = debian13.invoke("deploy")
    assert done.code == 0, done
    # Queries are compiled, as PostgreSQL does for those of a large database.
    compiled = f"ALTER DATABASE {APP} SET jit_above_cost"
    sql(debian13, f"{compiled} = 0")
    with written(debian13):
        yield debian13
    sql(debian13, f"{compiled} TO DEFAULT")


@pytest.fixture(scope="module")
def backup(site: Site) -> dict[str, Any]:
    """What `invoke backup` made, of uploads too."""
    site.ask("install -o locallibrary -g www-data -m 640 /dev/null /srv/locallibrary/media/upload")
    site.ask("echo picture > /srv/locallibrary/media/upload")
    made: dict[str, Any] = json_of(site, "backup")
    return made


def json_of(site: Site, task: str, *options: str) -> Any:
    done = site.invoke(task, *options, "--json")
    assert done.code == 0, done
    return json.loads(done.stdout)


def test_a_backup_is_exact_while_rows_are_written(site: Site, backup: dict[str, Any]) -> None:
    assert backup["exact"] is True
    record = json.loads(site.ask(f"cat {STATE}/records/{backup['backup']}.json"))
    rows, _ = record["databases"][APP]["tables"]["public.backup_rows"]
    assert 0 < rows < count(site)
    assert record["releases"][APP] == site.release()


def test_it_is_listed_and_seen_in_the_status(site: Site, backup: dict[str, Any]) -> None:
    found = json_of(site, "backup.list")
    newest = found["backups"][-1]
    assert newest["label"] == backup["backup"]
    assert newest["exact"] is True
    assert newest["bytes"] > 0
    assert found["files"][-1]["id"] == backup["files"]["id"]
    assert found["archiving"]["behind"] < 60
    told = site.invoke("backup.list").stdout
    assert backup["backup"] in told
    status = json_of(site, "status")
    assert status["problems"] == []
    assert status["backups"]["postgresql"]["label"] == backup["backup"]


def test_a_deploy_user_reads_how_they_are_and_nothing_else(
    site: Site, backup: dict[str, Any]
) -> None:
    assert site.ssh(f"cat {STATE}/state.json", user="deploy").code == 0
    assert "backup_rows" not in site.ask(f"cat {STATE}/state.json")
    for path in SECRETS:
        assert site.ssh(f"ls {path}/. || cat {path}", user="deploy").code != 0, path
    assert site.ssh("/usr/local/sbin/slipway-backup state", user="deploy").code != 0


def test_it_is_proved_by_restoring_it(site: Site, backup: dict[str, Any]) -> None:
    done = json_of(site, "backup.verify")
    assert done["label"] == backup["backup"]
    assert done["ok"] is True
    assert done["releases"] == [{"app": APP, "release": site.release()}]
    assert done["tables"] > 10
    assert done["files"]["bytes"] > 0
    newest = json_of(site, "backup.list")["backups"][-1]
    assert newest["proven"]
    assert json_of(site, "status")["backups"]["proof"]["label"] == backup["backup"]
    assert nothing_left(site)


def nothing_left(site: Site) -> bool:
    """No scratch cluster runs or lies about."""
    left = site.ask("find /var/lib/slipway-backup/scratch -mindepth 2 | head -3")
    return left == "" and site.ssh("pgrep -f scratch/postgresql/cluster").code != 0


def test_a_restore_says_what_it_costs_and_changes_nothing_unasked(
    site: Site, backup: dict[str, Any]
) -> None:
    before = count(site)
    plan = json_of(site, "restore", "--to", "1 s ago")
    assert plan["changed"] is False
    assert plan["backup"] == backup["backup"]
    assert plan["written_since"] > 0
    refused = site.invoke("restore", "--to", "1 s ago")
    assert refused.code == 2
    assert "Nobody is here to ask" in refused.stderr
    assert "lost       what was written" in refused.stderr
    assert count(site) >= before
    for moment in ("2020-01-01", "2999-01-01", "noon"):
        refused = site.invoke("restore", "--to", moment, "--yes")
        assert refused.code == 2, refused
        assert len(refused.stderr.strip().splitlines()) <= 2, refused


def test_a_restore_to_a_time_is_exact_to_the_second(site: Site, backup: dict[str, Any]) -> None:
    settled = int(sql(site, "SELECT extract(epoch FROM clock_timestamp())::bigint")) + 1
    moment = sql(site, f"SELECT to_timestamp({settled}) AT TIME ZONE 'UTC'")
    while int(sql(site, "SELECT extract(epoch FROM clock_timestamp())::bigint")) < settled + 2:
        time.sleep(0.2)
    other = site.release()
    done = json_of(site, "restore", "--to", moment, "--yes")
    exact(site, f"{moment}+00", done["kept"])
    # The site serves, with connections to what it has now.
    assert site.release() == other
    assert site.ssh("test -e /srv/locallibrary/maintenance/on").code != 0
    assert nothing_left(site)
    owner = f"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '{APP}'"
    assert sql(site, owner, "postgres") == APP
    assert json_of(site, "status")["problems"] == []
    dropped = json_of(site, "restore", "--forget", "--yes")
    assert [each["name"] for each in dropped["dropped"]] == [done["kept"]]
    assert json_of(site, "restore", "--forget", "--yes")["dropped"] == []


def test_a_second_run_of_the_playbook_changes_nothing_of_it(site: Site) -> None:
    key = site.ask("sha256sum /etc/slipway-backup/key")
    done = site.play("-e", "unchanged_skip=false")
    assert done.code == 0, done
    assert "changed=0" in done.stdout
    assert site.ask("sha256sum /etc/slipway-backup/key") == key
    mode = int(site.ask("stat -c %f /etc/slipway-backup/key"), 16)
    assert stat.S_IMODE(mode) == 0o600
