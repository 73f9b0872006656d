"""The proof: the newest backup restored beside the site, and held against what was recorded."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from slipway_backup import files, pgbackrest, project, scratch, store
from slipway_backup.backing import ask_postgres, query
from slipway_backup.events import Events
from slipway_backup.programs import size
from slipway_backup.settings import Settings, Site, sites
from slipway_backup.trouble import Trouble

SHOWN = 10


def verify(settings: Settings, events: Events) -> dict[str, Any]:
    """Restore the newest backup, start it, compare every table, ask each site's live release.

    Raises:
        Trouble: there is none, it cannot be restored, or it is not what was recorded. The proof
            says so too.
    """
    found = pgbackrest.info()
    if not found:
        raise Trouble("There is no backup yet. Run: invoke backup")
    backup = found[-1]
    began = time.monotonic()
    facts: dict[str, Any] = {"at": store.now(), "label": backup["label"], "ok": False}
    path = store.proof(settings, backup["label"])
    try:
        facts |= _prove(settings, events, backup)
    except Trouble as trouble:
        store.write(path, {**facts, "sentence": trouble.sentence, "detail": list(trouble.detail)})
        raise
    facts |= {"ok": True, "seconds": round(time.monotonic() - began, 1)}
    store.write(path, facts)
    return facts


def _prove(settings: Settings, events: Events, backup: Mapping[str, Any]) -> dict[str, Any]:
    label, whole = backup["label"], backup["info"]["size"]
    record = store.read(store.record(settings, label))
    if record is None:
        raise Trouble(
            f"What was in the backup {label} was not recorded, or the record is gone: there is "
            "nothing to hold it against. Run: invoke backup, then: invoke backup.verify"
        )
    scratch.check_room(settings, whole, f"Restoring {label}")
    preload = query("SHOW shared_preload_libraries")
    options = (f"--set={label}", "--type=name", f"--target={label}", "--target-action=promote")
    began = time.monotonic()
    with scratch.restored(settings, events, options, preload, whole) as socket:
        recovered = time.monotonic() - began
        events.note(f"recovered in {recovered:.1f} s; comparing every table with the record")
        tables = _compare(events, record, ask_postgres(socket))
        releases = [_ask_release(events, site, record, socket) for site in sites()]
    in_files = files.verify(settings, events)
    return {
        "bytes": whole,
        "recovered_seconds": round(recovered, 1),
        "tables": tables,
        "exact": record["exact"],
        "releases": [release for release in releases if release],
        "files": in_files,
    }


def _compare(events: Events, record: Mapping[str, Any], found: Mapping[str, Any]) -> int:
    """How many tables are as they were recorded.

    Raises:
        Trouble: some are not.
    """
    wrong = list(differences(record["databases"], found))
    count = sum(len(database["tables"]) for database in record["databases"].values())
    if not wrong:
        some = f"all {count} tables are as they were, row by row"
        events.note(some if count else "there are no tables yet, as there were none then")
        return count
    shown = [*wrong[:SHOWN], *([f"and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else [])]
    if record["exact"]:
        raise Trouble(
            f"The restored backup {record['point']} is not what was backed up, in {len(wrong)} "
            "places. Run: invoke backup --full, then: invoke backup.verify",
            shown,
        )
    for line in shown:
        events.note(f"{line} (the tables were being written when the record was made)")
    return count - len(wrong)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """What a restored cluster has otherwise than was recorded."""
    for name, database in before.items():
        if name not in after:
            yield f"the database {name} is missing"
            continue
        tables = after[name]["tables"]
        for table, (rows, checksum) in database["tables"].items():
            if table not in tables:
                yield f"{name}: {table} is missing"
            elif tables[table][0] != rows:
                yield f"{name}: {table} has {tables[table][0]} rows instead of {rows}"
            elif tables[table][1] != checksum:
                yield f"{name}: {table} has other rows than it had"
        for table in tables.keys() - database["tables"].keys():
            yield f"{name}: {table} was not there"
        for sequence, (value, step) in database["sequences"].items():
            now, _ = after[name]["sequences"].get(sequence, (None, step))
            # The log is a little ahead of what was taken from it, and never behind.
            if now is None or (now - value) * step < 0:
                yield f"{name}: {sequence} is at {now} and was at {value}"


def _ask_release(
    events: Events, site: Site, record: Mapping[str, Any], socket: Path
) -> dict[str, Any] | None:
    """Whether the release of that moment finds its migrations in the restored database.

    It is the live one, unless that has migrated since.

    Raises:
        Trouble: it does not.
    """
    then = record["releases"].get(site.app)
    if site.database != "postgresql" or then is None or site.app not in record["databases"]:
        return None
    release = then if (site.root / "releases" / then).is_dir() else site.release
    if release is None:
        return None
    events.note(f"asking release {release} of {site.app}: migrate --check")
    if not project.fits(site, release, socket):
        raise Trouble(
            f"Release {release} of {site.app} does not find all of its migrations in the restored "
            "database. Run: invoke backup --full, then: invoke backup.verify"
        )
    return {"app": site.app, "release": release}


def summary(facts: Mapping[str, Any]) -> str:
    """What a proof says, for people."""
    return (
        f"{facts['label']} was restored and is what was backed up: {facts['tables']} tables, "
        f"{size(facts['bytes'])}, in {facts['seconds']:.0f} s"
    )
