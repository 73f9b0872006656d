"""A release as its ``release.json`` tells it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from deploy.host.layout import RELEASE_ID, Layout


@dataclass(frozen=True)
class Release:
    """Everything needed to run one revision, and to judge it. Never changed once sealed.

    ``sequence`` orders releases: it grows by one with each, whatever the clock says.
    ``migrations`` are the migrations that this code knows, as ``app.name``.
    """

    id: str
    sequence: int
    revision: str
    subject: str
    author: str
    artifact: str
    lock: str
    config: str
    python: str
    migrations: tuple[str, ...]
    static_url: str
    processes: Mapping[str, str]
    built_by: str
    created_at: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def parse(values: Mapping[str, Any]) -> Release:
    """A release of what release.json holds; fields of a newer release tool are passed over."""
    known = {field.name: values[field.name] for field in fields(Release)}
    return Release(**{**known, "migrations": tuple(known["migrations"])})


def new_id(now: datetime, revision: str) -> str:
    """``now`` is in UTC; ``revision`` a full commit hash."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%S}-{revision[:7]}"


def read(layout: Layout, release_id: str) -> Release | None:
    """The sealed release of that id, or None when there is none."""
    if not RELEASE_ID.fullmatch(release_id):
        return None
    try:
        return _parsed((layout.release(release_id) / "release.json").read_bytes())
    except FileNotFoundError:
        return None


@lru_cache(maxsize=128)
def _parsed(told: bytes) -> Release:
    """A deploy reads each of fifty several times, and each names its migrations."""
    return parse(json.loads(told))


def read_all(layout: Layout) -> tuple[Release, ...]:
    """All sealed releases, oldest first."""
    found = (read(layout, path.name) for path in layout.releases.iterdir())
    return tuple(sorted((r for r in found if r is not None), key=lambda r: r.sequence))


def current_id(layout: Layout) -> str | None:
    """The id that ``current`` points to, or None before the first switch."""
    try:
        return layout.current.readlink().name
    except FileNotFoundError:
        return None
