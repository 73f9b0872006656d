"""What goes wrong with a backup or on the way back: a sentence, and a site that is as it was."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.lab.backup.rows import APP, TABLE, count, exact, sql, write, written
from tests.lab.backup.test_backup import STATE, json_of, nothing_left
from tests.lab.faults.controller import Controller
from tests.lab.roles import play
from tests.lab.site import Done, Site

pytestmark = pytest.mark.slow

REPOSITORY = "/var/backups/slipway"
SCRATCH = f"{STATE}/scratch"
KEY = "/etc/pgbackrest/conf.d/key.conf"
FLIP = "import sys; p = sys.argv[1]; d = bytearray(open(p, 'rb').read()); d[len(d) // 2] ^= 1; "
FLIP += "open(p, 'r+b').write(d)"


@pytest.fixture(scope="module")
def backed_up(debian12: Site) -> Iterator[Site]:
    """The droplet with a live release, rows coming all the time, and a backup of some of them."""
    done = debian12.invoke("deploy")
    assert done.code == 0, done
    with written(debian12):
        json_of(debian12, "backup", "--full")
        yield debian12


@pytest.fixture
def site(backed_up: Site) -> Iterator[Site]:
    """The same, with rows coming, held against what it was before the fault."""
    write(backed_up)
    release = backed_up.release()
    yield backed_up
    assert backed_up.release() == release
    assert backed_up.ssh(f"test -e /srv/{APP}/maintenance/on").code != 0
    assert nothing_left(backed_up)
    names = sql(backed_up, "SELECT datname FROM pg_database", "postgres")
    assert f"{APP}_restored" not in names.split()


@contextmanager
def rows_stay(site: Site) -> Iterator[None]:
    """Whatever fails meanwhile: the rows of the site are there, and more come."""
    before = count(site)
    yield
    assert count(site) > before


def newest(site: Site) -> str:
    return str(json_of(site, "backup.list")["backups"][-1]["label"])


def check_sentence(done: Done, code: int, told: str) -> None:
    assert done.code == code, done
    assert told in done.output, done
    assert "Traceback" not in done.output, done


@contextmanager
def flipped(site: Site, path: str) -> Iterator[None]:
    """One bit in the middle of a file is another one."""
    site.ask(f'cp -p {path} /root/whole && python3 -c "{FLIP}" {path}')
    try:
        yield
    finally:
        site.ask(f"cp -p /root/whole {path} && rm /root/whole")


def moment_now(site: Site) -> str:
    """A moment by which rows were written, in UTC; a later one has come when this returns."""
    moment = sql(site, "SELECT date_trunc('second', clock_timestamp()) AT TIME ZONE 'UTC'")
    time.sleep(1.5)
    return moment


def test_a_flipped_bit_in_the_backup(site: Site) -> None:
    biggest = f"find {REPOSITORY}/postgresql/backup/main/{newest(site)} -path '*bundle*' -type f"
    path = site.ask(f"{biggest} -printf '%s %p\\n' | sort -n | tail -1 | cut -d' ' -f2")
    with flipped(site, path), rows_stay(site):
        check_sentence(site.invoke("backup.verify"), 4, "A file of the repository is damaged")
        problems = json_of_unwell(site)["problems"]
        assert any("could not be proved" in problem for problem in problems), problems
        done = site.invoke("restore", "--to", moment_now(site), "--yes")
        check_sentence(done, 3, "A file of the repository is damaged")
    assert json_of(site, "backup.verify")["ok"] is True
    assert json_of(site, "status")["problems"] == []


def json_of_unwell(site: Site) -> Any:
    done = site.invoke("status", "--json")
    assert done.code == 1, done
    return json.loads(done.stdout)


def test_a_flipped_bit_in_the_files(site: Site) -> None:
    paths = site.ask(f"find {REPOSITORY}/files/data -type f").split()
    assert paths
    site.ask(f"cp -a {REPOSITORY}/files /root/files-whole")
    try:
        for path in paths:
            site.ask(f'python3 -c "{FLIP}" {path}')
        done = site.invoke("backup.verify")
        assert done.code == 4, done
        assert "repository of the files is damaged" in done.output, done
    finally:
        site.ask(f"rm -rf {REPOSITORY}/files && mv /root/files-whole {REPOSITORY}/files")
    assert json_of(site, "backup.verify")["ok"] is True


def test_rows_that_differ_from_the_record(site: Site) -> None:
    """What was restored is whole for pgBackRest, and is not what was backed up."""
    label = newest(site)
    path = f"{STATE}/records/{label}.json"
    record = json.loads(site.ask(f"cat {path}"))
    record["databases"][APP]["tables"][f"public.{TABLE}"][1] = "1"
    site.ask(f"cp -p {path} /root/record; echo '{json.dumps(record)}' > {path}")
    try:
        done = site.invoke("backup.verify")
        check_sentence(done, 4, f"The restored backup {label} is not what was backed up")
        assert f"public.{TABLE} has other rows than it had" in done.output
    finally:
        site.ask(f"mv /root/record {path}")
    assert json_of(site, "backup.verify")["ok"] is True


def test_a_segment_of_the_log_is_missing(site: Site) -> None:
    lsn = sql(site, "SELECT pg_walfile_name(pg_switch_wal())", "postgres")
    sql(site, "SELECT txid_current()", "postgres")
    moment = moment_now(site)
    archive = f"{REPOSITORY}/postgresql/archive/main"
    path = wait_for(site, f"find {archive} -name '{lsn}-*'")
    site.ask(f"mv {path} /root/segment")
    try:
        with rows_stay(site):
            for options in (("--to", moment), ()):
                done = site.invoke("restore", *options, "--yes")
                check_sentence(done, 3, "The archived log ends before the moment asked for")
    finally:
        site.ask(f"mv /root/segment {path}")


def wait_for(site: Site, command: str) -> str:
    for _ in range(200):
        found = site.ask(command)
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"{command} found nothing")


def test_the_wrong_key(site: Site) -> None:
    site.ask(f"cp -p {KEY} /root/key.conf; sed -i 's/pass=.*/pass=another/' {KEY}")
    try:
        told = "cannot be read with the key that this droplet has"
        check_sentence(site.invoke("backup.verify"), 4, told)
        check_sentence(site.invoke("backup"), 4, told)
        check_sentence(site.invoke("restore", "--yes"), 2, told)
        problems = json_of_unwell(site)["problems"]
        assert any(told in problem for problem in problems), problems
        # Nor does a playbook write a second repository over it.
        done = site.play("-e", "unchanged_skip=false")
        assert done.code != 0
        assert told in re.sub(r"\s+", " ", done.stdout)
    finally:
        site.ask(f"cp -p /root/key.conf {KEY}; rm /root/key.conf")
    assert site.play().code == 0
    json_of(site, "backup")


@contextmanager
def small_disk(site: Site, megabytes: int) -> Iterator[None]:
    """What is restored to be looked at has a disk of its own with so much room."""
    site.ask(
        f"mount -t tmpfs -o size={megabytes}m,mode=0711 tmpfs {SCRATCH} && "
        f"install -d -o postgres -g postgres -m 700 {SCRATCH}/postgresql"
    )
    try:
        yield
    finally:
        site.ask(f"umount --lazy {SCRATCH}")


def test_there_is_no_room_to_restore(site: Site) -> None:
    with small_disk(site, 100), rows_stay(site):
        done = site.invoke("restore", "--to", moment_now(site), "--yes")
        check_sentence(done, 2, "are to be had beside the reserve. Make room")
        check_sentence(site.invoke("backup.verify"), 4, "are to be had beside the reserve")
    assert json_of(site, "backup.verify")["ok"] is True


def test_the_disk_fills_up_during_the_restore(site: Site) -> None:
    moment = moment_now(site)
    with small_disk(site, 900), Controller(site, "restore", "--to", moment, "--yes") as restoring:
        wait_for(site, f"ls {SCRATCH}/postgresql/cluster 2>/dev/null || :")
        site.ssh(f"fallocate -l 2G {SCRATCH}/ballast; cat /dev/zero > {SCRATCH}/ballast")
        done = restoring.done()
        check_sentence(done, 3, "he disk f")
    assert json_of(site, "restore", "--to", moment, "--yes")["kept"]
    json_of(site, "restore", "--forget", "--yes")


@pytest.mark.parametrize("stage", ["recovering", "dumping", "restoring it into"])
@pytest.mark.parametrize("victim", ["controller", "program", "postgres"])
def test_a_restore_that_is_killed_can_be_run_again(site: Site, stage: str, victim: str) -> None:
    json_of(site, "backup")
    moment = moment_now(site)
    site.ask("rm -f /run/slipway-backup/restore.events")
    with Controller(site, "restore", "--to", moment, "--yes") as restoring:
        wait_for(site, f"grep '{stage}' /run/slipway-backup/restore.events || :")
        if victim == "controller":
            restoring.kill()
        elif victim == "program":
            site.ssh("systemctl kill --kill-whom=main --signal=KILL slipway-backup@restore")
        else:
            site.ssh(f"pkill -KILL -f 'postgres -D {SCRATCH}'")
        done = restoring.done()
    if victim != "controller":
        assert done.code in (0, 3), done
        assert site.get().status == 200
    assert "Traceback" not in done.output
    if done.code != 0:
        # That of a controller that was killed goes on, and keeps a second one out until it ends.
        wait_for(site, "systemctl is-active slipway-backup@restore | grep -v activating || :")
        found = json_of(site, "restore", "--to", moment, "--yes")
        exact(site, f"{moment}+00", found["kept"])
    json_of(site, "restore", "--forget", "--yes")


LISTENER = """\
import http.server


class Told(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open("/run/alerts", "ab") as alerts:
            alerts.write(body + b"\\n")
        self.send_response(204)
        self.end_headers()


http.server.HTTPServer(("127.0.0.1", 8099), Told).serve_forever()
"""


def test_whoever_is_to_be_told_is_told_once(site: Site) -> None:
    site.ask(f"cat >/root/listener.py <<'END'\n{LISTENER}END")
    site.ask("systemd-run --quiet --collect --unit=backup-listener python3 /root/listener.py")
    try:
        done = play(site, ["backup"], backup_alert_url="http://127.0.0.1:8099/")
        assert done.code == 0, done
        site.ask(f"cp -p {KEY} /root/key.conf; sed -i 's/pass=.*/pass=another/' {KEY}")
        for _ in range(2):
            site.ask("systemctl start slipway-backup-watch")
        told = [json.loads(line) for line in site.ask("cat /run/alerts").splitlines()]
        assert len(told) == 1, told
        assert told[0]["host"] == site.name
        assert "cannot be read with the key" in told[0]["text"]
        journal = site.ask("journalctl -u slipway-backup-watch --priority=err --output=cat")
        assert "cannot be read with the key" in journal
    finally:
        site.ssh(f"cp -p /root/key.conf {KEY}; rm -f /root/key.conf /run/alerts")
        site.ssh("systemctl stop backup-listener")
        assert site.play().code == 0
        site.ask("systemctl start slipway-backup-watch")
