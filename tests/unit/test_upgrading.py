"""A newer major version of PostgreSQL: whether there is one to upgrade to, and what is told."""

from dataclasses import replace
from typing import Any

import pytest

from deploy.errors import Refused
from deploy.target import parse as parse_target
from deploy.upgrading import check_back, check_kind, check_upgrade, parse
from tests.unit.test_inventory import FACTS

# As Ansible hands on what templates render: some of it as text.
TOLD: dict[str, Any] = {
    "live": "15",
    "wanted": "17",
    "kept": [],
    "offered": True,
    "extensions": ["citext", "plpgsql"],
    "written": "1200",
    "bytes": 40_000_000,
    "free": 10_000_000_000,
    "method": "upgrade",
    "rehearsal": None,
}
REHEARSAL = {
    "from": "15",
    "to": "17",
    "bytes": 40_000_000,
    "method": "upgrade",
    "seconds": 11.6,
    "at": "2026-11-26T11:30:00+00:00",
}
STATE = parse(TOLD, 6.7)


def test_the_plan_tells_the_downtime_that_the_rehearsal_measured() -> None:
    check_upgrade(STATE, "production")
    lines = parse({**TOLD, "rehearsal": REHEARSAL}, 6.7).lines()
    assert lines == [
        "upgrade    PostgreSQL 15 to 17, 40.0 MB",
        "extensions citext: 17 has them",
        "rehearsed  2026-11-26 11:30 UTC on a copy: 12 s, and every table and index checked",
        "meanwhile  about 32 s: visitors get the page of maintenance",
        "kept       PostgreSQL 15, until: invoke db.upgrade --finish",
    ]


def test_a_rehearsal_of_another_upgrade_says_nothing() -> None:
    other = parse({**TOLD, "rehearsal": {**REHEARSAL, "from": "14"}}, 6.7)
    assert other.rehearsed is None
    assert not any("rehearsed" in line for line in other.lines())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"wanted": 15}, "has PostgreSQL 15, the one that the inventory wants"),
        ({"wanted": 14}, "newer than 14.*invoke db.upgrade --back"),
        ({"offered": False}, "is offered no postgresql-17.*sources of apt"),
        ({"kept": (17,)}, "a cluster 17/main already.*pg_dropcluster --stop 17 main"),
        ({"free": 200_000_000}, "200.0 MB of free disk, and this needs 280.0 MB"),
    ],
)
def test_what_cannot_be_upgraded_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        check_upgrade(replace(STATE, **changes), "production")


def test_cloned_files_need_half_the_room() -> None:
    check_upgrade(replace(STATE, free=250_000_000, method="clone"), "production")


def test_back_is_to_an_older_one_that_is_kept() -> None:
    assert check_back(replace(STATE, live=17, kept=(14, 15)), "production") == 15
    for kept in ((), (18,)):
        with pytest.raises(Refused, match="keeps no older cluster beside PostgreSQL 17"):
            check_back(replace(STATE, live=17, kept=kept), "production")


def test_a_database_in_a_file_has_no_server() -> None:
    target = parse_target("web1", {**FACTS, "database": "sqlite"}, "inventory/staging.yml")
    with pytest.raises(Refused, match="is a file: there is no server to upgrade"):
        check_kind(target)
