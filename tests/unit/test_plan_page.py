"""The page of a plan."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy import drift
from deploy.drift import Difference
from deploy.host.changes import Changes, ConfigVar, Package
from deploy.plan_page import Page, lines
from deploy.revision import Commit, Commits, Revision
from tests.unit.test_planfile import PLAN

LIVE = {"id": PLAN.live, "subject": "Old", "revision": "a" * 40}
PAGE = Page(
    plan=PLAN,
    domain="library.example.org",
    revision=Revision(Path("/x"), "b" * 40, "t", "app", "Ada", "Sort [bold]shelves[/bold]"),
    live=LIVE,
    same=False,
    commits=Commits(new=(Commit("b" * 40, "Ada", "Sort [bold]shelves[/bold]"),)),
    changes=Changes(
        PLAN.live,
        "a" * 40,
        packages=(Package("django", "5.2.1", "5.2.3"),),
        config=(ConfigVar("EMAIL_HOST", "added"),),
        migrations=("catalog.0003",),
        processes=("worker",),
    ),
    push={"objects": 3, "bytes": 1_200_000, "needed": 2_400_000, "free": 8_100_000_000},
    pending=({"name": "catalog.0003", "sql": "BEGIN;\n-- x\nALTER TABLE b;\n", "breaks": []},),
    judged_with="20261126T080000-bbbbbbb",
    runs="python manage.py warm_up",
    refusals=(),
    roles=(Difference("/etc/nginx/x", "nginx | Render", ("-a", "+b")),),
)


def test_one_page_has_everything() -> None:
    assert lines(PAGE) == [
        "site        library on web1 (production), library.example.org",
        "live        20261125T120000-aaaaaaa  Old",
        "revision    bbbbbbb  Sort [bold]shelves[/bold]",
        "commits     1 commit",
        "            + bbbbbbb  Sort [bold]shelves[/bold] (Ada)",
        "packages    django 5.2.1 -> 5.2.3",
        "config      EMAIL_HOST added",
        "processes   worker of the Procfile",
        "migrations  catalog.0003  the live release lives with it",
        "                BEGIN;",
        "                ALTER TABLE b;",
        "            judged with 20261126T080000-bbbbbbb, which was pushed for it and removed "
        "again; its files wait for the deploy",
        "runs        python manage.py warm_up  (the Procfile's release line)",
        "disk        1.2 MB to send in 3 files, before compression; 2.4 MB have to be free, 8.1 GB "
        "are",
        "host        1 changes by ansible-playbook site.yml, which a deploy does not make",
        "            /etc/nginx/x  (nginx | Render)",
        "                -a",
        "                +b",
    ]


def told(**changes: Any) -> str:
    return "\n".join(lines(replace(PAGE, **changes)))


def test_it_says_so_when_nothing_would_change() -> None:
    page = replace(PAGE, same=True, roles=())
    assert lines(page)[3:] == [
        "deploy      changes nothing: this revision is live with these config vars",
        "host        ansible-playbook site.yml changes nothing",
    ]
    assert page.to_json()["changed"] is False
    assert replace(page, roles=PAGE.roles).to_json()["changed"] is True


def test_risk_and_refusal_are_told() -> None:
    breaking = {"name": "catalog.0003", "sql": "", "breaks": ["DROPPING columns"]}
    text = told(pending=(breaking,), refusals=("It would break.",))
    assert f"catalog.0003  breaks {PLAN.live}: DROPPING columns" in text
    assert "refused     a deploy would end so: It would break." in text


def test_what_was_not_looked_at_is_no_nothing() -> None:
    assert "host        not looked at (--no-host)" in told(roles=None)
    assert "migrations  catalog.0003  not judged" in told(pending=None)
    assert "not known here: aaaaaaa" in told(commits=None)
    assert "their names are not told" in told(changes=Changes("x", "y", config=None))
    hidden = Difference("config vars", "config vars", None)
    assert "differs; what it holds is not shown" in told(roles=(hidden,))


def test_a_first_deploy_has_nothing_to_be_held_against() -> None:
    text = told(live=None, changes=None, commits=None, pending=None, judged_with="")
    assert "live        nothing yet" in text
    assert "migrations  1, and nothing is live that they could break" in text


def test_for_scripts_it_is_a_document() -> None:
    found = json.loads(json.dumps(PAGE.to_json()))
    assert found["plan"]["live"] == PLAN.live
    assert found["pending"][0]["name"] == "catalog.0003"
    assert found["roles"][0]["lines"] == ["-a", "+b"]


def test_what_differs_on_the_host_has_a_name_and_nothing_has_none() -> None:
    one = Difference("/etc/x", "t", ("-a",))
    assert drift.digest(()) == ""
    assert drift.digest((one,)) == drift.digest([one])
    assert drift.digest((one,)) != drift.digest((replace(one, lines=("-b",)),))
    assert drift.digest((replace(one, lines=None),)) != ""
