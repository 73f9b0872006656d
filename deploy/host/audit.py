"""The audit log: one line of JSON for everything that happened to releases.

It is also the memory of the release tool: what a release went through is what the log says
of it (:func:`fold`), so no mark can disagree with the record.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from deploy.host.layout import Layout

PUSHED = "pushed"
MIGRATED = "migrated"
FAILED = "failed"
STAGED = "staged"
SWITCHED = "switched"
LIVE = "live"
INTERRUPTED = "interrupted"
REVERSED = "reversed"
ROLLED_BACK = "rolled back"
PRUNED = "pruned"
# These are about the site: no release has a part in them.
DATABASE_REPLACED = "database replaced"
MAINTENANCE_ON = "maintenance on"
MAINTENANCE_OFF = "maintenance off"
RESTORED = "restored"
# These say nothing of what a release is, so it is not remembered by them.
RESTARTED = "restarted"
SCALED = "scaled"


@dataclass(frozen=True)
class Past:
    """What a release went through.

    ``live`` means that it served visitors and proved itself; ``bad`` that it failed its gate
    or bake, or was rolled back, since it was last proved.
    """

    event: str = PUSHED
    at: str = ""
    who: str = ""
    live: bool = False
    bad: bool = False


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def append(layout: Layout, event: str, release: str, **facts: Any) -> None:
    """Add a line and force it to the disk."""
    line = json.dumps({"at": now(), "event": event, "release": release, **facts})
    with layout.audit_log.open("a") as log:
        # A line cut short by a power failure must not swallow the next one.
        if log.tell() and not _ends_with_newline(layout):
            log.write("\n")
        log.write(line + "\n")
        log.flush()
        os.fsync(log.fileno())


def read(layout: Layout) -> list[dict[str, Any]]:
    """All entries, oldest first; a line cut short by a power failure is passed over."""
    try:
        lines = layout.audit_log.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return [entry for entry in map(_parse, lines) if entry]


def fold(entries: Iterable[Mapping[str, Any]]) -> dict[str, Past]:
    """What each release went through, by release id."""
    pasts: dict[str, Past] = {}
    taken_back: dict[str, str | None] = {}
    for entry in entries:
        event, release_id = entry["event"], entry["release"]
        if not release_id or event in (RESTARTED, SCALED):
            continue
        past = replace(
            pasts.get(release_id, Past()), event=event, at=entry["at"], who=entry.get("who", "")
        )
        if event == LIVE:
            past = replace(past, live=True, bad=False)
        elif event == FAILED:
            past = replace(past, bad=True)
        pasts[release_id] = past
        if event == SWITCHED:
            taken_back[release_id] = entry.get("takes_back")
        # Only the line that proves the older release says that the newer one was taken back.
        left = taken_back.get(release_id) if event == LIVE else None
        if left in pasts:
            pasts[left] = replace(pasts[left], event=ROLLED_BACK, at=entry["at"], bad=True)
    return pasts


def applied_by(entries: Iterable[Mapping[str, Any]]) -> dict[str, tuple[int, str]]:
    """Migration -> the number of the entry that last applied it, and the release it came with."""
    applied: dict[str, tuple[int, str]] = {}
    for number, entry in enumerate(entries):
        names = entry.get("migrations", ()) if entry["event"] == MIGRATED else ()
        # Those before the one that failed stay.
        names = names or (entry.get("applied", ()) if entry["event"] == FAILED else ())
        applied |= dict.fromkeys(names, (number, entry["release"]))
    return applied


def seals(entries: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Release id -> digest of what lists its files, as it was when it was sealed."""
    return {entry["release"]: entry["seal"] for entry in entries if "seal" in entry}


def _parse(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and {"at", "event", "release"} <= entry.keys() else None


def _ends_with_newline(layout: Layout) -> bool:
    with layout.audit_log.open("rb") as log:
        log.seek(-1, os.SEEK_END)
        return log.read(1) == b"\n"
