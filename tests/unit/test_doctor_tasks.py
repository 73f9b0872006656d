"""invoke doctor as it is typed: what it prints, its exit code, and what --fix writes."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console as Terminal

from deploy.cli.config import told_of
from deploy.console import Console
from doctor import tasks
from doctor.model import Finding, Verdict, fine
from tests.unit.test_build import TARGET
from tests.unit.test_cli import invoke

FOUND = [
    fine("hosts", "any"),
    Finding("DEBUG", Verdict.CONFIG_VAR, "on", "invoke config.set D=0", ("D", "0")),
]


def test_a_project_without_manage_py_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "README").write_text("nothing to see here\n")
    words = ("doctor", "--project", "--source", str(tmp_path), "--env", "production")
    done = invoke(*words)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done
    assert "has no manage.py" in done.stdout
    told = json.loads(invoke(*words, "--json").stdout)
    assert told["counts"] == {"project": 1}
    assert [one["subject"] for one in told["project"]] == ["manage.py"]
    assert told["droplet"] == []


def test_an_unknown_environment_is_refused() -> None:
    done = invoke("doctor", "--env", "nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("refused: No environment nowhere")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--source", "/nowhere"), "is no folder"),
        (("--revision", "no-such"), "No revision no-such"),
    ],
)
def test_what_is_typed_wrong_is_refused(words: tuple[str, str], told: str) -> None:
    done = invoke("doctor", "--project", "--env", "production", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


def test_another_project_is_looked_at_and_not_fixed() -> None:
    done = invoke("doctor", "--source", "/somewhere", "--fix", "--env", "production")
    assert (done.returncode, done.stdout) == (2, "")
    assert "site_source: /somewhere" in done.stderr


def test_help_has_an_example() -> None:
    assert "invoke doctor --project" in invoke("--help", "doctor").stdout


def test_each_line_has_its_next_command_for_the_environment() -> None:
    lines = shown(fixable=True)
    assert lines == [
        "hosts fine any",
        "DEBUG config var on",
        "invoke config.set --env production D=0",
        "the project 1 fine, 1 config var",
        "invoke doctor --env production --fix sets D",
    ]
    # What is not the environment's own project cannot be fixed by its config vars.
    assert shown(fixable=False) == lines[:-1]


def shown(fixable: bool) -> list[str]:
    terminal = Terminal(width=200, record=True, file=io.StringIO())
    terminal.print(tasks._table({"project": FOUND, "droplet": []}, "production", fixable))
    return [" ".join(line.split()) for line in terminal.export_text().splitlines()]


def test_without_a_droplet_config_vars_are_written_to_the_inventory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = tmp_path / "inventory" / "group_vars" / "staging.yml"
    facts.parent.mkdir(parents=True)
    facts.write_text("---\n# Mine.\nenvironment_name: staging\n")
    monkeypatch.setattr(tasks, "ROOT", tmp_path)
    console = Console(as_json=True)
    found = tasks._fixed(console, "staging", TARGET, FOUND, reached=False)
    assert facts.read_text() == (
        '---\n# Mine.\nenvironment_name: staging\napp_config_vars:\n  D: "0"\n'
    )
    assert [(one.hinders, one.told) for one in found] == [
        (False, "any"),
        (False, "D is written to inventory/group_vars/staging.yml"),
    ]
    assert tasks._fixed(console, "staging", TARGET, found, reached=False) == found


def test_before_the_first_deploy_a_change_of_config_vars_waits_for_it() -> None:
    told = told_of({"changed": True, "release": None, "file": "f.yml"}, "with D set")
    assert told == "The first deploy goes live with D set. Run: invoke deploy\nCommit f.yml"
