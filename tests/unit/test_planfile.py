"""A plan as a file: what it holds a deploy to, and what is no plan."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy import planfile
from deploy.errors import Refused
from deploy.planfile import Plan

PLAN = Plan(
    site="library",
    host="web1",
    live="20261125T120000-aaaaaaa",
    revision="b" * 40,
    artifact="c" * 64,
    config="d" * 12,
    migrations=("catalog.0003",),
    environment="production",
    inventory="e" * 24,
    roles="",
    made_at="2026-11-26T08:00:00+00:00",
    made_by="ada@desk",
)


@pytest.mark.parametrize("plan", [PLAN, replace(PLAN, live="", roles=None, migrations=())])
def test_a_plan_is_read_as_it_was_written(tmp_path: Path, plan: Plan) -> None:
    planfile.write(tmp_path / "a.plan", plan)
    assert planfile.read(tmp_path / "a.plan") == plan
    assert [path.name for path in tmp_path.iterdir()] == ["a.plan"]


def test_a_plan_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be written to .*/none/a.plan: No such file"):
        planfile.write(tmp_path / "none" / "a.plan", PLAN)


WHOLE = {"format": 1, **vars(PLAN)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is not JSON"),
        ("\0", "it is not JSON"),
        ("[1]", "is no plan"),
        ('{"revision": "HEAD"}', "is no plan"),
        (json.dumps({**WHOLE, "format": 2}), "a plan of another version"),
        (json.dumps({"format": 1}), "no whole plan: see 'site', 'host', 'live'"),
        (json.dumps({**WHOLE, "roles": 1}), "no whole plan: see 'roles'"),
        (json.dumps({**WHOLE, "live": None}), "no whole plan: see 'live'"),
        (json.dumps({**WHOLE, "live": "\x1b[2J"}), "no whole plan: see 'live'"),
        (json.dumps({**WHOLE, "migrations": "x"}), "no whole plan: see 'migrations'"),
        (json.dumps({**WHOLE, "extra\n": "x"}), r"no whole plan: see 'extra\\n'"),
    ],
)
def test_what_is_no_plan_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.plan"
    path.write_text(text)
    with pytest.raises(Refused, match=said) as refused:
        planfile.read(path)
    assert refused.value.message.endswith(f"Make one: invoke plan --out {path}")
    assert "\n" not in refused.value.message


def test_bytes_that_are_no_text_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a.plan").write_bytes(b"\xff\xfe")
    with pytest.raises(Refused, match="it is not JSON"):
        planfile.read(tmp_path / "a.plan")
    for name in ("none", "."):
        with pytest.raises(Refused, match="cannot be read"):
            planfile.read(tmp_path / name)


def test_a_plan_is_for_its_environment_and_its_inventory() -> None:
    assert planfile.elsewhere(PLAN, "production", PLAN.inventory) is None
    assert "with --env production" in (planfile.elsewhere(PLAN, "local", PLAN.inventory) or "")
    assert "the inventory was changed" in (planfile.elsewhere(PLAN, "production", "f") or "")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"live": "20261126T090000-fffffff"}, "20261126T090000-fffffff is live, and was 2026"),
        ({"live": ""}, "nothing is live, and was 20261125T120000-aaaaaaa"),
        ({"config": "f" * 12}, "the config vars are of version ffffffffffff, and were of dddd"),
        ({"artifact": "f" * 64}, "bbbbbbb builds to another artifact, ffffffffffff instead of ccc"),
        ({"migrations": ()}, "the migrations to apply are none, and were catalog.0003"),
        ({"host": "web2"}, "it was made for library on web1"),
    ],
)
def test_what_moved_is_named(change: dict[str, Any], said: str) -> None:
    assert planfile.moved(PLAN, PLAN) is None
    told = planfile.moved(PLAN, replace(PLAN, **change)) or ""
    assert said in told
    assert told.startswith("The plan that ada@desk made at 2026-11-26T08:00 no longer holds: ")
    assert told.endswith("See what is to be done now: invoke plan")
    assert ";" not in told


def test_all_that_moved_is_one_sentence() -> None:
    told = planfile.moved(PLAN, replace(PLAN, live="", config="f")) or ""
    assert "nothing is live" in told
    assert "; the config vars are of version f" in told
