"""The backups of a droplet: where they go, who may read the keys, and when they run."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from slipway_backup.cli import UNITS
from slipway_backup.settings import Settings
from tests.templates.render import ROOT, render, value
from tests.templates.role_files import load
from tests.templates.test_units import settings

backups = load("preflight/filter_plugins/backups.py")
SFTP: dict[str, Any] = {
    "site_backup_repository": "sftp://keeper@backup.example.org:2222/srv/backups",
    "site_backup_key": "k" * 44,
    "backup_ssh_key": "-----BEGIN",
    "backup_host_keys": ["ssh-ed25519 AAAA", "ecdsa-sha2-nistp256 BBBB"],
}
S3: dict[str, Any] = {
    "site_backup_repository": "s3://s3.example.org/bucket/library",
    "site_backup_key": "k" * 44,
    "backup_s3_key": "name",
    "backup_s3_secret": "hidden",
}


def pgbackrest(**changes: Any) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(render("backup", "pgbackrest.conf.j2", **changes))
    return {name: dict(parser[name]) for name in parser.sections()}


def test_by_default_they_are_a_folder_of_the_droplet() -> None:
    found = pgbackrest()
    assert found["global"]["repo1-type"] == "posix"
    assert found["global"]["repo1-path"] == "/var/backups/slipway/postgresql"
    assert found["global"]["repo1-cipher-type"] == "aes-256-cbc"
    # PostgreSQL waits for a disk, and not for another host.
    assert "archive-async" not in found["global"]
    assert found["main"]["pg1-path"] == "/var/lib/postgresql/17/main"
    assert value("backup", "__backup_told")["files_repository"] == "/var/backups/slipway/files"


def test_they_go_to_an_sftp_host_whose_key_is_known() -> None:
    found = pgbackrest(**SFTP)["global"]
    assert found["repo1-sftp-host"] == "backup.example.org"
    assert found["repo1-sftp-host-port"] == "2222"
    assert found["repo1-sftp-host-key-check-type"] == "strict"
    assert found["repo1-path"] == "/srv/backups/postgresql"
    assert found["archive-async"] == "y"
    told = value("backup", "__backup_told", **SFTP)
    assert told["files_repository"] == "sftp://keeper@backup.example.org:2222//srv/backups/files"
    assert "StrictHostKeyChecking=yes" in told["files_options"][1]
    (known,) = [
        each["content"]
        for each in value("backup", "__backup_ssh_files", **SFTP)
        if each["path"].endswith("known_hosts")
    ]
    assert known.splitlines() == [
        "[backup.example.org]:2222 ssh-ed25519 AAAA",
        "[backup.example.org]:2222 ecdsa-sha2-nistp256 BBBB",
    ]


def test_they_go_to_a_bucket() -> None:
    found = pgbackrest(**S3)["global"]
    assert found["repo1-s3-bucket"] == "bucket"
    assert found["repo1-s3-endpoint"] == "s3.example.org"
    assert found["repo1-path"] == "/library/postgresql"
    told = value("backup", "__backup_told", **S3)
    assert told["files_repository"] == "s3:https://s3.example.org/bucket/library/files"
    assert told["environment"]["AWS_SECRET_ACCESS_KEY"] == "hidden"


def test_nobody_but_root_and_postgresql_reads_a_key() -> None:
    files = value("backup", "__backup_key_files + __backup_ssh_files", **SFTP)
    for file in files:
        if file["path"].endswith("known_hosts"):
            continue
        mode = int(file["mode"], 8)
        assert mode & 0o007 == 0
        assert mode & 0o070 == 0 or file["group"] == "postgres"


def test_the_program_is_told_all_that_it_reads() -> None:
    assert set(value("backup", "__backup_told")) == {field.name for field in fields(Settings)}
    assert value("backup", "__backup_told")["keep_files"] == [
        *("--keep-daily=7", "--keep-hourly=24", "--keep-weekly=4")
    ]


def test_the_program_that_is_installed_is_the_one_of_the_role() -> None:
    paths = [file["path"] for file in value("backup", "__backup_program", role_path=str(ROLE))]
    assert f"{LIBRARY}/__main__.py" in paths
    assert f"{LIBRARY}/slipway_backup/cli.py" in paths
    assert not any("pycache" in path for path in paths)


ROLE = ROOT / "roles" / "backup"
LIBRARY = "/usr/local/lib/slipway-backup"


@pytest.mark.parametrize("name", ["full", "diff", "files", "verify"])
def test_every_timer_runs_a_unit_that_there_is(name: str) -> None:
    assert name in UNITS
    at = value("backup", f"backup_{name}_at")
    timer = render("backup", "slipway-backup.timer.j2", backup_timer=name, backup_at=at)
    found = settings(timer)
    assert found["Unit"] == [f"slipway-backup@{name}.service"]
    assert found["OnCalendar"] == [at]
    assert found["Persistent"] == ["true"]


def test_the_most_that_is_lost_is_what_is_not_archived_yet() -> None:
    text = render("backup", "slipway-backup.conf.j2")
    assert "archive_timeout = 60s" in text
    assert re.search(r"^archive_mode = on$", text, re.MULTILINE)


def test_without_another_host_its_units_reach_none() -> None:
    local = settings(render("backup", "slipway-backup@.service.j2"))
    assert local["RestrictAddressFamilies"] == ["AF_UNIX"]
    for reached in (SFTP, {"site_alert_url": "https://alerts.example.org/"}):
        unit = settings(render("backup", "slipway-backup@.service.j2", **reached))
        assert unit["RestrictAddressFamilies"] == ["AF_UNIX AF_INET AF_INET6"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
@pytest.mark.parametrize("name", ["slipway-backup@", "slipway-backup-watch"])
def test_systemd_understands_every_line(tmp_path: Path, name: str) -> None:
    text = render("backup", f"{name}.service.j2")
    unit = tmp_path / f"{name.replace('@', '@full')}.service"
    unit.write_text(re.sub(r"ExecStart=.*", "ExecStart=/bin/true", text))
    (tmp_path / "slipway-backup-watch.service").touch()
    argv = ("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit))
    done = subprocess.run(argv, capture_output=True, text=True)
    assert "slipway-backup" not in done.stderr, done.stderr


# --- what is refused -----------------------------------------------------------------------------


def secrets(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: text for name, text in facts.items() if name != "site_backup_repository"}


@pytest.mark.parametrize("facts", [SFTP, S3, {"site_backup_repository": "/mnt/backups"}])
def test_a_repository_that_is_whole(facts: dict[str, Any]) -> None:
    place = facts["site_backup_repository"]
    assert backups.backup_findings(place, secrets(facts), "trixie") == []


@pytest.mark.parametrize(
    "place", ["backups", "ftp://x@y/z", "sftp://host/x", "s3://host", "/a/../b", "", None, "/a b"]
)
def test_what_is_no_place(place: str | None) -> None:
    (finding,) = backups.backup_findings(place, {}, "trixie")
    assert "write a folder of the droplet such as /var/backups/slipway, sftp://" in finding


@pytest.mark.parametrize(
    ("facts", "missing", "told"),
    [
        (SFTP, "site_backup_key", "site_backup_key is not set: what is backed up elsewhere"),
        (SFTP, "backup_ssh_key", "backup_ssh_key is not set, which sftp:// needs"),
        (SFTP, "backup_host_keys", "ssh-keyscan HOST"),
        (S3, "backup_s3_secret", "backup_s3_secret is not set, which s3:// needs"),
    ],
)
def test_what_is_missing_is_named(facts: dict[str, Any], missing: str, told: str) -> None:
    place = facts["site_backup_repository"]
    left = {name: text for name, text in secrets(facts).items() if name != missing}
    (finding,) = backups.backup_findings(place, left, "trixie")
    assert told in finding


def test_a_key_that_is_none_is_refused_and_not_shown() -> None:
    for key in ("short", "k" * 30 + "\n", " " + "k" * 30):
        (finding,) = backups.backup_findings("/r", {"site_backup_key": key}, "trixie")
        assert "is no key" in finding
        assert key.strip() not in finding


def test_debian_12_knows_no_sftp() -> None:
    place = SFTP["site_backup_repository"]
    (finding,) = backups.backup_findings(place, secrets(SFTP), "bookworm")
    assert "pgBackRest on bookworm does not know" in finding
    assert backups.backup_findings(S3["site_backup_repository"], secrets(S3), "bookworm") == []
