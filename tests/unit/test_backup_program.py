"""What runs on the droplet for its backups, as far as it needs none."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from slipway_backup import (
    adopting,
    events,
    files,
    measuring,
    pgbackrest,
    restoring,
    store,
    verifying,
    watching,
)
from slipway_backup.settings import Settings, Site, load, sites
from slipway_backup.trouble import Trouble

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for name in ("state", "scratch", "scratch/postgresql", "run", "repository"):
        (tmp_path / name).mkdir()
    return Settings(
        repository=str(tmp_path / "repository"),
        local=True,
        files_repository=str(tmp_path / "repository" / "files"),
        files_options=(),
        environment={},
        postgres_version="17",
        state=tmp_path / "state",
        scratch=tmp_path / "scratch",
        run=tmp_path / "run",
        archive_seconds=60,
        backup_age=30 * 3600,
        files_age=6 * 3600,
        proof_age=9 * 86400,
        free_bytes=0,
        keep_files=(),
        alert_url="",
    )


# --- what pgBackRest says ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "P00  ERROR: [095]: unable to load info file '/r/a.info' or '/r/a.info.copy':\n"
            "    CryptoError: unable to flush\n    HINT: is or was the repo encrypted?",
            "cannot be read with the key that this droplet has",
        ),
        (
            "unable to load info file '/r/backup.info' or '/r/backup.info.copy':\n"
            "FormatError: key/value found outside of section at line 1: x",
            "cannot be read with the key that this droplet has",
        ),
        (
            "P00  ERROR: [029]: raised from local-1 protocol: zst error: [-20] Data corruption "
            "detected\n    [FormatError] on 2 retries from 915-17525ms",
            "a file of the repository is damaged",
        ),
        (
            "P00  ERROR: [064]: raised from local-2 protocol: unable to write '/x/base/5/2618_vm': "
            "[28] No space left on device",
            "the disk is full",
        ),
        ("missing stanza path", "there is no repository"),
        ("<Error><Code>NoSuchBucket</Code></Error>", "there is no such bucket. Make it"),
        ("HTTP request failed with 403: <Code>AccessDenied</Code>", "does not let this droplet in"),
        ("P00  ERROR: [082]: WAL segment was not archived", "does not reach the archive"),
        ("P00  ERROR: [038]: something of its own", "[038]: something of its own"),
    ],
)
def test_what_pgbackrest_says_means_something(said: str, told: str) -> None:
    trouble = pgbackrest._trouble(said, said.splitlines())
    assert told.lower() in trouble.sentence.lower()
    assert trouble.detail


def test_garbage_in_what_pgbackrest_tells_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    message = "unable to load info file 'b.info':\nFormatError: outside of section: \x01"
    raw = json.dumps([{"repo": [{"status": {"code": 99, "message": message}}], "backup": []}])
    raw = raw.replace("\\u0001", "\x01")
    monkeypatch.setattr(pgbackrest, "call", lambda *options: raw)
    with pytest.raises(Trouble, match="cannot be read with the key"):
        pgbackrest.info()


# --- the record and what is held against it ------------------------------------------------------

RECORD: dict[str, Any] = {
    "shop": {
        "tables": {"public.book": [2, "77"], "public.loan": [0, "0"]},
        "sequences": {"public.book_id_seq": [40, 1]},
    }
}


def restored(**changes: Any) -> dict[str, Any]:
    found = json.loads(json.dumps(RECORD))
    found["shop"] |= changes
    return dict(found)


def test_a_restored_cluster_that_is_the_same() -> None:
    # The log is ahead of a sequence by up to 32.
    ahead = {"public.book_id_seq": [65, 1]}
    assert list(verifying.differences(RECORD, restored(sequences=ahead))) == []


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({}, "the database shop is missing"),
        (restored(tables={"public.book": [2, "77"]}), "public.loan is missing"),
        (
            restored(tables={"public.book": [1, "77"], "public.loan": [0, "0"]}),
            "public.book has 1 rows instead of 2",
        ),
        (
            restored(tables={"public.book": [2, "78"], "public.loan": [0, "0"]}),
            "public.book has other rows than it had",
        ),
        (
            restored(tables={**RECORD["shop"]["tables"], "public.new": [0, "0"]}),
            "public.new was not there",
        ),
        (restored(sequences={"public.book_id_seq": [39, 1]}), "is at 39 and was at 40"),
        (restored(sequences={}), "is at None and was at 40"),
    ],
)
def test_a_restored_cluster_that_is_not(found: dict[str, Any], told: str) -> None:
    (difference,) = verifying.differences(RECORD, found)
    assert told in difference


def test_a_sequence_that_counts_down_is_not_behind_when_it_is_lower() -> None:
    before = {"shop": {"tables": {}, "sequences": {"s": [-4, -1]}}}
    after = {"shop": {"tables": {}, "sequences": {"s": [-36, -1]}}}
    assert list(verifying.differences(before, after)) == []
    assert len(list(verifying.differences(after, before))) == 1


class Session:
    """One database whose writers can be in the way; remembers what it was told."""

    busy = (TimeoutError,)

    def __init__(self, blocked: int, log: list[str], tables: list[str]) -> None:
        self.blocked, self.log, self.tables = blocked, log, tables

    def __call__(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        self.log.append(" ".join(statement.split()))
        if statement.startswith("LOCK") and self.blocked:
            self.blocked -= 1
            raise TimeoutError
        if statement == measuring.TABLES:
            return [(name,) for name in self.tables]
        if "pg_create_restore_point" in statement:
            return [("0/19EB7F0",)]
        return []


def moment(blocked: int, reader_tables: list[str]) -> tuple[Any, list[str]]:
    log: list[str] = []
    lockers: Any = {"shop": Session(blocked, log, ["public.book"])}
    readers: Any = {"shop": Session(0, log, reader_tables)}
    return measuring._locked_moment(lockers, readers, "point"), log


def test_the_point_is_made_and_the_snapshot_taken_while_writers_are_held() -> None:
    found, log = moment(0, ["public.book"])
    assert found["tables"] == {"shop": ["public.book"]}
    lock = log.index("LOCK TABLE ONLY public.book IN SHARE MODE")
    point = log.index("SELECT pg_create_restore_point(%s)::text")
    snapshot = log.index("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    assert lock < point < snapshot < log.index("ROLLBACK")


def test_writers_that_do_not_give_way_are_not_waited_for() -> None:
    found, log = moment(1, ["public.book"])
    assert found is None
    assert not any("restore_point" in line for line in log)
    assert log[-1] == "ROLLBACK"


def test_a_table_that_came_in_between_makes_another_try() -> None:
    assert moment(0, ["public.book", "public.new"])[0] is None


# --- what is remembered and told -----------------------------------------------------------------


def test_a_run_is_remembered_until_one_goes_well(settings: Settings) -> None:
    with pytest.raises(Trouble), store.remembered(settings, "full", True):
        raise Trouble("no room", ["detail"])
    (only,) = store.folder(settings, "errors")
    assert (only[0], only[1]["sentence"]) == ("full", "no room")
    assert store.error(settings, "full").stat().st_mode & 0o777 == 0o600
    with store.remembered(settings, "full", True):
        pass
    assert list(store.folder(settings, "errors")) == []
    with pytest.raises(Trouble), store.remembered(settings, "restore", False):
        raise Trouble("no room")
    assert list(store.folder(settings, "errors")) == []


def test_what_is_known_of_backups_that_are_gone_goes_too(settings: Settings) -> None:
    for label in ("old", "new"):
        store.write(store.record(settings, label), {})
        store.write(store.proof(settings, label), {})
    store.forget(settings, {"new"})
    assert [name for name, _ in store.folder(settings, "records")] == ["new"]
    assert [name for name, _ in store.folder(settings, "proofs")] == ["new"]


def test_whoever_follows_gets_each_event_once(tmp_path: Path) -> None:
    path = tmp_path / "full.events"
    tell = events.Events(path)
    tell.note("one")
    first, offset = events.read(path, 0)
    assert first == [{"note": "one"}]
    with path.open("ab") as file:
        file.write(b'{"note": "ha')
    assert events.read(path, offset) == ([], offset)
    assert events.read(tmp_path / "none", 7) == ([], 0)


def facts(**changes: Any) -> dict[str, Any]:
    at = (NOW - timedelta(hours=2)).isoformat()
    return {
        "repository": {"place": "/r", "local": True, "free": 5 * 10**9},
        "archiving": {"last": at, "failed": False, "waiting": 0, "behind": 0},
        "backups": [{"label": "20261126-021500F", "at": at}],
        # As restic writes it.
        "files": [{"id": "f7", "at": "2026-11-26T10:00:00.421342714Z"}],
        "proof": {"label": "20261126-021500F", "at": at, "ok": True, "sentence": None},
        "errors": {},
        "failed": [],
        "trouble": [],
        **changes,
    }


def ago(**span: float) -> str:
    return (NOW - timedelta(**span)).isoformat()


def test_backups_that_are_well_have_no_problems(settings: Settings) -> None:
    assert list(watching.problems(settings, facts(), NOW)) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"backups": [{"label": "x", "at": ago(hours=31)}]}, "PostgreSQL is older than 30 hours"),
        ({"files": [{"id": "x", "at": ago(hours=7)}]}, "files is older than 6 hours"),
        ({"files": []}, "there is no backup of the files yet. Run: invoke backup"),
        (
            {"archiving": {"behind": 301, "waiting": 4, "failed": True, "last": None}},
            "archiving is behind: 4 segments",
        ),
        ({"repository": {"free": 10**6}}, "the repository is full"),
        ({"trouble": ["The repository cannot be read"]}, "The repository cannot be read"),
        (
            {"proof": {"label": "x", "at": ago(days=10), "ok": True, "sentence": None}},
            "the last proof of a backup is older than 9 days. Run: invoke backup.verify",
        ),
        (
            {"proof": {"label": "x", "at": ago(hours=1), "ok": False, "sentence": "damaged"}},
            "the backup x could not be proved: damaged",
        ),
        (
            {"errors": {"diff": {"sentence": "no room", "at": ""}}},
            "the last diff backup failed: no",
        ),
        ({"failed": ["slipway-backup@full"]}, "slipway-backup@full was ended before it was done"),
    ],
)
def test_what_is_wrong_with_backups(settings: Settings, changes: dict[str, Any], told: str) -> None:
    kept = Settings(**{**vars(settings), "free_bytes": 5 * 10**8})
    (problem,) = watching.problems(kept, facts(**changes), NOW)
    assert told in problem


def test_a_droplet_that_was_just_provisioned_has_an_hour_for_its_first_backup(
    settings: Settings,
) -> None:
    store.write(settings.state / "begun.json", {"at": ago(minutes=5)})
    empty = facts(backups=[], files=[], proof=None)
    assert list(watching.problems(settings, empty, NOW)) == []
    assert len(list(watching.problems(settings, empty, NOW + timedelta(hours=2)))) == 2


def test_only_what_is_new_is_alerted_of(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = facts(trouble=["out of reach"], backups=[], proof=None)
    monkeypatch.setattr(watching, "facts", lambda settings: dict(found))
    watching.look(settings)
    assert "<3>out of reach" in capsys.readouterr().err
    watching.look(settings)
    assert capsys.readouterr().err == ""
    # Deploy users read it.
    assert (settings.state / watching.STATE).stat().st_mode & 0o777 == 0o644


# --- files ---------------------------------------------------------------------------------------


def test_a_database_in_a_file_is_known_by_its_beginning_and_links_are_not_followed(
    tmp_path: Path,
) -> None:
    sqlite3.connect(tmp_path / "db").execute("CREATE TABLE t (x)")
    (tmp_path / "link").symlink_to(tmp_path / "db")
    (tmp_path / "text").write_text("SQLite")
    assert [files._is_sqlite(tmp_path / name) for name in ("db", "link", "text", "none")] == [
        *(True, False, False, False)
    ]


def test_a_database_that_is_being_written_is_copied_as_it_is_at_one_moment(tmp_path: Path) -> None:
    writer = sqlite3.connect(tmp_path / "db", isolation_level=None)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("CREATE TABLE t (x)")
    writer.execute("INSERT INTO t VALUES (1)")
    writer.execute("BEGIN")
    writer.execute("INSERT INTO t VALUES (2)")
    argv = ("python3", "-I", "-c", files.COPY, tmp_path / "db", tmp_path / "copy")
    subprocess.run(argv, check=True)
    assert sqlite3.connect(tmp_path / "copy").execute("SELECT x FROM t").fetchall() == [(1,)]


def test_a_pattern_means_one_path() -> None:
    assert files._escaped(Path("/srv/a[b]*/c?")) == r"/srv/a\[b]\*/c\?"


def test_what_restic_backed_up_is_its_last_word() -> None:
    told = '{"message_type":"status"}\n{"message_type":"summary","snapshot_id":"abc"}\n'
    assert files._summary(told)["snapshot_id"] == "abc"
    with pytest.raises(Trouble):
        files._summary("")


# --- settings and the way back -------------------------------------------------------------------


def test_the_sites_of_a_droplet_are_what_the_role_app_wrote(tmp_path: Path) -> None:
    (tmp_path / "shop.json").write_text(json.dumps({"app": "shop", "root": str(tmp_path)}))
    (site,) = sites(tmp_path)
    assert site == Site("shop", tmp_path, "postgresql")
    assert site.release is None
    (tmp_path / "current").symlink_to("releases/20260801T120000-abcdef0")
    assert site.release == "20260801T120000-abcdef0"


def test_settings_are_read_as_they_were_written(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(vars(settings), default=str))
    assert load(path) == settings


@pytest.fixture
def backups(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shop with one backup, that ended an hour ago."""
    stop = datetime.now(UTC) - timedelta(hours=1)
    told = {"label": "F", "timestamp": {"stop": stop.timestamp()}, "info": {"size": 1000}}
    monkeypatch.setattr(pgbackrest, "info", lambda: [told])
    shop, notes = Site("shop", Path("/srv/shop"), "postgresql"), Site("n", Path("/n"), "sqlite")
    monkeypatch.setattr(restoring, "sites", lambda: [shop, notes])


@pytest.mark.usefixtures("backups")
@pytest.mark.parametrize(
    ("app", "hours", "told"),
    [
        ("shop", -2, "No backup reaches back to"),
        ("shop", 1, "is still to come"),
        ("store", -0.5, "There is no site store on this droplet"),
        ("n", -0.5, "The database of n is a file"),
    ],
)
def test_a_moment_that_nobody_can_go_back_to(
    settings: Settings, app: str, hours: float, told: str
) -> None:
    moment = datetime.now(UTC) + timedelta(hours=hours)
    with pytest.raises(Trouble, match=told):
        restoring.plan(settings, app, moment.isoformat())


def test_the_name_of_what_is_kept_is_one_that_postgresql_takes() -> None:
    longest = "a" * 32
    assert len(f"{longest}{restoring.REPLACED}20261126T101741".encode()) <= 63


def test_a_droplet_that_serves_is_not_made_from_a_backup(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "current").symlink_to("releases/20260801T120000-abcdef0")
    monkeypatch.setattr(adopting, "sites", lambda: [Site("shop", tmp_path, "postgresql")])
    with pytest.raises(Trouble, match="shop is live on this droplet"):
        adopting.adopt(settings)


def test_an_empty_repository_makes_no_droplet(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopting, "sites", list)
    monkeypatch.setattr(pgbackrest, "info", list)
    monkeypatch.setattr(files, "snapshots", lambda settings: [])
    with pytest.raises(Trouble, match="There is no backup in"):
        adopting.adopt(settings)


def test_what_was_taken_over_stays(settings: Settings) -> None:
    assert not store.awaited(settings)
    store.write(store.adopted(settings), {"snapshot": "f7", "releases": {}})
    # Until its uploads are back, the snapshot is not forgotten for a newer one.
    assert store.awaited(settings)
    assert adopting.adopt(settings) == {"snapshot": "f7", "releases": {}, "changed": False}


def test_uploads_of_nothing_are_not_put_back(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="has taken over nothing"):
        adopting.media(settings, events.Events(tmp_path / "media.events"))
