"""The audit log remembers, also after a power cut in the middle of a line."""

from pathlib import Path
from typing import Any

import pytest

from deploy.host import audit
from deploy.host.audit import Past, fold
from deploy.host.layout import Layout

A, B = "20260801T120000-aaaaaaa", "20260802T120000-bbbbbbb"


def past_of(*events: str) -> Past:
    entries = [{"at": str(n), "event": event, "release": A} for n, event in enumerate(events)]
    return fold(entries)[A]


@pytest.mark.parametrize(
    ("events", "live", "bad"),
    [
        (["pushed"], False, False),
        (["pushed", "migrated", "switched"], False, False),
        (["pushed", "switched", "live"], True, False),
        (["pushed", "failed"], False, True),
        (["pushed", "switched", "live", "switched", "failed"], True, True),
        (["pushed", "switched", "live", "failed", "switched"], True, True),
        (["pushed", "switched", "live", "failed", "switched", "live"], True, False),
    ],
)
def test_what_a_release_went_through(events: list[str], live: bool, bad: bool) -> None:
    past = past_of(*events)
    assert (past.live, past.bad, past.event) == (live, bad, events[-1])


# What follows on: A live, B live, A switched to, which takes B back.
@pytest.mark.parametrize(
    ("then", "taken_back"),
    [
        ([], False),  # killed in the middle
        ([("failed", A)], False),
        ([("live", A)], True),
        ([("pushed", "C"), ("live", A)], True),  # proved by the next run
        ([("failed", A), ("switched", A), ("live", A)], False),  # later, and as a deploy
        ([("live", A), ("switched", B), ("live", B)], False),
    ],
)
def test_a_release_is_rolled_back_once_the_older_one_is_proved(
    then: list[tuple[str, str]], taken_back: bool
) -> None:
    log: list[dict[str, Any]] = [
        {"at": "", "event": event, "release": release}
        for release in (A, B)
        for event in ("pushed", "switched", "live")
    ]
    log.append({"at": "", "event": "switched", "release": A, "takes_back": B})
    log += [{"at": "late", "event": event, "release": release} for event, release in then]
    past = fold(log)[B]
    assert (past.live, past.bad) == (True, taken_back)
    assert (past.event, past.at) == ("rolled back", "late") if taken_back else past.event == "live"


def test_releases_are_told_apart_and_the_last_entry_says_who_and_when(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert audit.read(layout) == []
    audit.append(layout, audit.PUSHED, A, who="ada@desk")
    audit.append(layout, audit.LIVE, A, who="ada@desk")
    audit.append(layout, audit.PUSHED, B, who="bob@desk\n\u2028", cause="naïve “quotes”")
    pasts = fold(audit.read(layout))
    assert pasts[A].live
    assert (pasts[B].live, pasts[B].who) == (False, "bob@desk\n\u2028")
    assert pasts[A].at <= pasts[B].at
    assert len(layout.audit_log.read_bytes().splitlines()) == 3


@pytest.mark.parametrize("torn", [b'{"at": "2026', b'{"at": "x", "event": "li\xff\xfe', b"\0" * 40])
def test_a_line_cut_short_is_passed_over_and_swallows_nothing(tmp_path: Path, torn: bytes) -> None:
    layout = Layout(tmp_path)
    audit.append(layout, audit.PUSHED, A)
    with layout.audit_log.open("ab") as log:
        log.write(torn)
    assert [entry["event"] for entry in audit.read(layout)] == ["pushed"]
    audit.append(layout, audit.LIVE, A)
    audit.append(layout, audit.PRUNED, A)
    assert [entry["event"] for entry in audit.read(layout)] == ["pushed", "live", "pruned"]


@pytest.mark.parametrize("line", ["[]", "null", '{"event": "live"}', "7", ""])
def test_a_line_that_is_no_entry_is_passed_over(tmp_path: Path, line: str) -> None:
    layout = Layout(tmp_path)
    layout.audit_log.write_text(line + "\n")
    audit.append(layout, audit.LIVE, A)
    assert fold(audit.read(layout))[A].live


def test_a_migration_counts_from_when_it_was_last_applied() -> None:
    log: list[dict[str, Any]] = [
        {"at": "1", "event": "migrated", "release": A, "migrations": ["shop.0002", "shop.0003"]},
        {"at": "2", "event": "reversed", "release": A, "migrations": ["shop.0003"]},
        {"at": "3", "event": "failed", "release": B, "applied": ["shop.0003"]},
        {"at": "4", "event": "failed", "release": B, "cause": "the gate"},
        {"at": "5", "event": "live", "release": B, "migrations": ["not one of its own"]},
    ]
    assert audit.applied_by(log) == {"shop.0002": (0, A), "shop.0003": (2, B)}
