"""Releases and their ids."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from deploy.host.layout import RELEASE_ID, Layout
from deploy.host.pushing import seal
from deploy.host.release import Release, current_id, new_id, parse, read, read_all

REVISION = "0123456789abcdef0123456789abcdef01234567"
MOMENT = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)


def a_release(number: int, **facts: Any) -> Release:
    """A release; those with a higher number are newer."""
    values: dict[str, Any] = {
        "id": new_id(MOMENT + timedelta(hours=number), REVISION),
        "sequence": number,
        "revision": REVISION,
        "subject": "Let readers renew",
        "author": "Ada",
        "artifact": f"artifact {number}",
        "lock": "0" * 16,
        "config": "c" * 12,
        "python": "3.13",
        "migrations": [],
        "static_url": "/static/",
        "processes": {"web": "gunicorn mysite.wsgi"},
        "built_by": "ada@desk",
        "created_at": MOMENT.isoformat(),
    }
    return parse({**values, **facts})


def test_ids_sort_by_time_in_utc_and_fit_their_pattern() -> None:
    east = timezone(timedelta(hours=14))
    moments = [MOMENT.astimezone(east), MOMENT + timedelta(seconds=1), MOMENT + timedelta(days=200)]
    ids = [new_id(moment, REVISION) for moment in moments]
    assert ids == sorted(ids)
    assert ids[0] == "20260801T120000-0123456"
    assert all(RELEASE_ID.fullmatch(name) for name in ids)


def test_a_release_is_read_back_as_it_was_sealed(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    # The clock went back between the two; their order is that of the sequence.
    late, early = a_release(2, migrations=["catalog.0001_initial"]), a_release(1)
    first = a_release(9, sequence=1)
    for release in (late, first):
        layout.release(release.id).mkdir(parents=True)
        seal(layout.release(release.id), release)
    layout.release(early.id).mkdir()  # begun, never sealed
    assert read_all(layout) == (first, late)
    assert read(layout, early.id) is None
    assert read(layout, f"../releases/{late.id}") is None


def test_a_release_of_a_newer_release_tool_can_still_be_read() -> None:
    assert parse({**a_release(1).to_json(), "added_later": 1}) == a_release(1)


def test_nothing_is_current_before_the_first_switch(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert current_id(layout) is None
    layout.current.symlink_to("releases/20260801T120000-0123456")
    assert current_id(layout) == "20260801T120000-0123456"
