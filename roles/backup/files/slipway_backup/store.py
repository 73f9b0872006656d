"""What is remembered of backups and their proofs, below /var/lib/slipway-backup.

``state.json`` is for everybody on the droplet, deploy users among them: it names no table. The rest
is root's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipway_backup.settings import Settings
from slipway_backup.trouble import Trouble


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def write(path: Path, facts: Mapping[str, Any], mode: int = 0o600) -> None:
    """Write JSON, whole or not at all."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        os.fchmod(file.fileno(), mode)
        json.dump(facts, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def read(path: Path) -> dict[str, Any] | None:
    """The same back; None when there is none, or it cannot be read."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found


def adopted(settings: Settings) -> Path:
    """Where it is told what was taken over: the snapshot, and the release that was live."""
    return settings.state / "adopted.json"


def awaited(settings: Settings) -> bool:
    """Whether uploads that were taken over are still to be put back."""
    known = read(adopted(settings))
    return known is not None and "back" not in known


def record(settings: Settings, label: str) -> Path:
    """Where the counts and checksums of a backup are."""
    return settings.state / "records" / f"{label}.json"


def proof(settings: Settings, label: str) -> Path:
    """Where it is told how restoring a backup went."""
    return settings.state / "proofs" / f"{label}.json"


def error(settings: Settings, verb: str) -> Path:
    """Where it is told why the last run of a verb failed."""
    return settings.state / "errors" / f"{verb}.json"


def folder(settings: Settings, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """All of a kind: records, proofs or errors, by name."""
    for path in sorted((settings.state / name).glob("*.json")):
        found = read(path)
        if found is not None:
            yield path.stem, found


def begin(settings: Settings) -> None:
    """Remember since when there are to be backups."""
    path = settings.state / "begun.json"
    if read(path) is None:
        write(path, {"at": now()})


def begun(settings: Settings) -> datetime | None:
    """Since when there are to be backups."""
    found = read(settings.state / "begun.json")
    return datetime.fromisoformat(found["at"]) if found else None


def forget(settings: Settings, labels: set[str]) -> None:
    """Remove what is known of backups that are gone."""
    for name in ("records", "proofs"):
        for path in (settings.state / name).glob("*.json"):
            if path.stem not in labels:
                path.unlink()


@contextmanager
def remembered(settings: Settings, verb: str, wanted: bool) -> Iterator[None]:
    """Remember, if wanted, why a run of the verb failed, until one goes well."""
    try:
        yield
    except Trouble as trouble:
        facts = {"at": now(), "sentence": trouble.sentence, "detail": list(trouble.detail)}
        if wanted:
            write(error(settings, verb), facts)
        raise
    error(settings, verb).unlink(missing_ok=True)
