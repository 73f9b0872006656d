"""What is wrong with the backups, said to everybody on the droplet and to who is to be told."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from slipway_backup import files, pgbackrest, store
from slipway_backup.backing import query
from slipway_backup.programs import run, size
from slipway_backup.settings import Settings
from slipway_backup.trouble import Trouble

STATE = "state.json"
ALERT_SECONDS = 10.0
# Archiving that fails once is tried again by PostgreSQL, and one interval may be idle.
INTERVALS_BEHIND = 5
FIRST = timedelta(hours=1)
ARCHIVING = """
SELECT json_build_object(
  'last', last_archived_time,
  'failed', last_failed_time > coalesce(last_archived_time, '-infinity'),
  'waiting', (SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'),
  'behind', coalesce((SELECT extract(epoch FROM now() - min(modification))
                      FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'), 0))
FROM pg_stat_archiver
"""
UNITS = (
    "slipway-backup@full",
    "slipway-backup@diff",
    "slipway-backup@files",
    "slipway-backup@verify",
)


def look(settings: Settings) -> dict[str, Any]:
    """Read how the backups are, tell it in ``state.json``, and alert of what is new."""
    before = store.read(settings.state / STATE) or {}
    found = facts(settings)
    found["problems"] = list(problems(settings, found, datetime.now(UTC)))
    found["looked_at"] = store.now()
    store.write(settings.state / STATE, found, mode=0o644)
    fresh = [problem for problem in found["problems"] if problem not in before.get("problems", [])]
    if fresh:
        alert(settings, fresh)
    return found


def facts(settings: Settings) -> dict[str, Any]:
    """What there is, without a judgement."""
    trouble = []
    backups, snapshots, archiving = [], [], None
    try:
        proofs = dict(store.folder(settings, "proofs"))
        records = dict(store.folder(settings, "records"))
        backups = [_backup(each, proofs, records) for each in pgbackrest.info()]
    except Trouble as error:
        trouble.append(error.sentence)
    try:
        snapshots = files.snapshots(settings)
    except Trouble as error:
        trouble.append(error.sentence)
    try:
        archiving = json.loads(query(ARCHIVING))
    except Trouble as error:
        trouble.append(error.sentence)
    return {
        "repository": {
            "place": settings.repository,
            "local": settings.local,
            "free": _free(settings),
        },
        "archive_seconds": settings.archive_seconds,
        "archiving": archiving,
        "backups": backups,
        "files": snapshots,
        "proof": _newest_proof(settings),
        "errors": {
            verb: {"at": error["at"], "sentence": error["sentence"]}
            for verb, error in store.folder(settings, "errors")
        },
        "failed": [unit for unit in UNITS if _failed(unit)],
        "trouble": trouble,
    }


def problems(settings: Settings, found: Mapping[str, Any], now: datetime) -> Iterator[str]:
    """Sentences with the next command."""
    yield from found["trouble"]
    archiving = found["archiving"]
    limit = INTERVALS_BEHIND * settings.archive_seconds
    if archiving and archiving["behind"] > limit:
        yield (
            f"archiving is behind: {archiving['waiting']} segments of PostgreSQL's log wait, the "
            f"oldest for more than {limit // 60} min. Look: tail /var/log/postgresql/*.log"
        )
    free = found["repository"]["free"]
    if free is not None and free < settings.free_bytes:
        yield (
            f"the repository is full: {size(settings.free_bytes)} are to stay free on the disk of "
            f"{settings.repository}. Make room there"
        )
    if not found["trouble"]:
        yield from _too_old(settings, found, now)
    proof = found["proof"]
    if proof is None and found["backups"]:
        oldest = datetime.fromisoformat(found["backups"][0]["at"])
        if (now - oldest).total_seconds() > settings.proof_age:
            yield "no backup was ever restored to prove it. Run: invoke backup.verify"
    elif proof and not proof["ok"]:
        yield f"the backup {proof['label']} could not be proved: {proof['sentence']}"
    elif proof and _age(proof["at"], now) > settings.proof_age:
        days = settings.proof_age // 86400
        yield f"the last proof of a backup is older than {days} days. Run: invoke backup.verify"
    for verb, error in found["errors"].items():
        # A proof tells its own.
        if verb != "verify":
            yield f"the last {verb} backup failed: {error['sentence']}"
    for unit in found["failed"]:
        if unit.partition("@")[2] not in found["errors"]:
            yield f"{unit} was ended before it was done. Look: journalctl -u {unit} -n 50"


def _too_old(settings: Settings, found: Mapping[str, Any], now: datetime) -> Iterator[str]:
    kinds = (
        ("backups", settings.backup_age, "backup of PostgreSQL"),
        ("files", settings.files_age, "backup of the files"),
    )
    for name, limit, what in kinds:
        if not found[name]:
            # The first is made in the background when the droplet is provisioned.
            begun = store.begun(settings)
            if begun is None or now - begun > FIRST:
                yield f"there is no {what} yet. Run: invoke backup"
        elif _age(found[name][-1]["at"], now) > limit:
            yield f"the newest {what} is older than {limit // 3600} hours. Run: invoke backup"


def alert(settings: Settings, sentences: list[str]) -> None:
    """Say it in the journal as an error, and post it where the inventory says."""
    for sentence in sentences:
        # systemd reads the number as the priority: an error.
        print(f"<3>{sentence}", file=sys.stderr, flush=True)
    if not settings.alert_url:
        return
    told = {"host": socket.gethostname(), "subject": "backups", "problems": sentences}
    told["text"] = f"{told['host']}: {'; '.join(sentences)}"
    request = urllib.request.Request(
        settings.alert_url,
        data=json.dumps(told).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "slipway"},
    )
    try:
        urllib.request.urlopen(request, timeout=ALERT_SECONDS).close()
    except OSError as error:
        print(f"<3>the alert was not taken: {error}", file=sys.stderr, flush=True)


def _age(moment: str, now: datetime) -> float:
    return (now - datetime.fromisoformat(_plain(moment))).total_seconds()


def _plain(moment: str) -> str:
    """restic tells nanoseconds, which Python 3.11 does not read."""
    head, dot, tail = moment.partition(".")
    zone = tail.lstrip("0123456789") if dot else ""
    return f"{head}{zone}"


def _backup(
    told: Mapping[str, Any], proofs: Mapping[str, Any], records: Mapping[str, Any]
) -> dict[str, Any]:
    label = told["label"]
    proof, record = proofs.get(label), records.get(label)
    at = datetime.fromtimestamp(told["timestamp"]["stop"], UTC).isoformat(timespec="seconds")
    return {
        "label": label,
        "kind": told["type"],
        "at": at,
        "bytes": told["info"]["repository"]["delta"],
        "whole_bytes": told["info"]["repository"]["size"],
        "database_bytes": told["info"]["size"],
        "recorded": bool(record),
        "exact": bool(record and record["exact"]),
        "proven": proof["at"] if proof and proof["ok"] else None,
        # PostgreSQL's own checksums of pages were wrong.
        "damaged": bool(told.get("error")),
    }


def _newest_proof(settings: Settings) -> dict[str, Any] | None:
    found = sorted(
        (proof for _, proof in store.folder(settings, "proofs")), key=lambda each: each["at"]
    )
    public = ("at", "label", "ok", "seconds", "recovered_seconds", "bytes", "tables", "sentence")
    return {key: found[-1].get(key) for key in public} if found else None


def _free(settings: Settings) -> int | None:
    folder = Path(settings.repository)
    return shutil.disk_usage(folder).free if settings.local and folder.is_dir() else None


def _failed(unit: str) -> bool:
    return run(("systemctl", "is-failed", "--quiet", unit)).returncode == 0


def refresh() -> None:
    """Have systemd look at once, with the rights of the unit that does so."""
    subprocess.run(("systemctl", "start", "slipway-backup-watch.service"))
