"""The repository after an upgrade of PostgreSQL."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from slipway_backup import following, pgbackrest

OLDER, NEWER, STRANGER = 7567239123849665679, 7567239123849665680, 1


def cluster(folder: Path, version: str, identifier: int) -> Path:
    control = folder / version / "main" / "global" / "pg_control"
    control.parent.mkdir(parents=True)
    control.write_bytes(struct.pack("=Q", identifier) + b"the rest")
    return folder / version / "main"


def told(*owners: int, backups: tuple[int, ...] = ()) -> list[dict[str, Any]]:
    return [
        {
            "repo": [{"status": {"code": 0, "message": "ok"}}],
            "db": [{"id": n, "system-id": owner} for n, owner in enumerate(owners, 1)],
            "backup": [{"label": str(n), "database": {"id": n}} for n in backups],
        }
    ]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> tuple[list[dict[str, Any]], list[str]]:
    """What pgBackRest tells, to be filled, and what it is told to do."""
    known: list[dict[str, Any]] = []
    asked: list[str] = []

    def call(*options: str) -> str:
        if options[0] == "info":
            return json.dumps(known)
        asked.append(options[0])
        return ""

    monkeypatch.setattr(pgbackrest, "call", call)
    return known, asked


@pytest.mark.parametrize(
    ("owners", "followed"),
    [
        ([OLDER], True),
        ([OLDER, NEWER], False),
        ([NEWER, OLDER], True),
        ([STRANGER], False),
        ([], False),
    ],
)
def test_only_the_repository_of_the_cluster_before_is_handed_over(
    said: tuple[list[dict[str, Any]], list[str]], tmp_path: Path, owners: list[int], followed: bool
) -> None:
    known, asked = said
    known += told(*owners)
    cluster(tmp_path, "15", OLDER)
    here = cluster(tmp_path, "17", NEWER)
    (tmp_path / "16" / "main").mkdir(parents=True)
    assert following.follow(here) is followed
    assert asked == (["stanza-upgrade"] if followed else [])


def test_backups_of_the_cluster_before_are_not_offered(
    said: tuple[list[dict[str, Any]], list[str]],
) -> None:
    known, _ = said
    known += told(OLDER, NEWER, backups=(1, 1, 2))
    assert [each["label"] for each in pgbackrest.info()] == ["2"]
