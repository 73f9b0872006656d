"""The tasks as they are typed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from invoke.collection import Collection

from tasks import TASKS, asked, compose, namespace

ROOT = Path(__file__).parents[2]


def invoke(*args: str) -> "subprocess.CompletedProcess[str]":
    argv = (str(Path(sys.executable).with_name("invoke")), *args)
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize(
    "words",
    [["deploy"], ["deploy", "--env", "staging"], ["config.set", "DEBUG=1"], ["backup", "--help"]],
    ids=" ".join,
)
def test_a_task_that_is_typed_alone_is_all_that_is_imported(words: list[str]) -> None:
    assert list(asked(words)) == words[:1]
    alone = compose(asked(words))
    assert alone[words[0]] == namespace[words[0]]


@pytest.mark.parametrize(
    "words",
    [[], ["--list"], ["--help", "deploy"], ["deploy", "status"], ["--complete", "--", "deploy"]],
    ids=" ".join,
)
def test_everything_is_there_for_who_types_something_else(words: list[str]) -> None:
    assert asked(words) == TASKS


@pytest.mark.parametrize(
    "words",
    [
        ("rollback", "--env", "nowhere"),
        ("rollback", "--env=nowhere", "--wait", "20260801T120000"),
    ],
    ids=" ".join,
)
def test_a_task_for_an_unknown_environment_is_one_sentence(words: tuple[str, ...]) -> None:
    done = invoke(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(
        "refused: No environment nowhere (inventory/nowhere.yml); there are: local, production"
    )
    assert len(done.stderr.splitlines()) == 1


def test_for_scripts_the_error_is_a_document() -> None:
    done = invoke("releases", "--json", "--env", "nowhere")
    assert (done.returncode, done.stderr) == (2, "")
    error = json.loads(done.stdout)["error"]
    assert error["kind"] == "refused"
    assert error["message"].startswith("No environment nowhere")


def test_rollback_takes_one_release_at_most() -> None:
    done = invoke("rollback", "20260801T120000", "20260802T120000", "--env", "nowhere")
    assert done.returncode == 1
    assert "No idea what '20260802T120000' is!" in done.stderr


@pytest.mark.parametrize(
    "named", [["--release", "20260801"], ["--release=20260801"], ["-r", "2026"]]
)
@pytest.mark.parametrize("task", ["rollback", "releases"])
def test_a_release_is_named_by_its_option_too(task: str, named: list[str]) -> None:
    done = invoke(task, *named, "--env", "nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("refused: No environment nowhere")


def test_an_option_is_not_taken_for_a_release() -> None:
    done = invoke("rollback", "--release", "--restore", "--env", "nowhere")
    assert done.returncode == 1
    assert "'--restore' is ambiguous" in done.stderr


@pytest.mark.parametrize("task", ["manage", "run"])
def test_a_command_without_words_is_told_how(task: str) -> None:
    done = invoke(task, "--env", "nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("refused: Say what to run, after two dashes, such as: invoke")
    assert invoke(task, "--env", "nowhere", "--", "x").stderr.startswith("refused: No environment")


def task_names(collection: Collection, prefix: str = "") -> Iterator[str]:
    """The tasks as they are typed; the default of a collection by the collection's name."""
    for name in collection.tasks:
        yield prefix.rstrip(".") if name == collection.default else prefix + name
    for name, inner in collection.collections.items():
        yield from task_names(inner, f"{name}.")


@pytest.mark.parametrize("task", ["new", "config.set", "config.unset", "ps.scale", "rollback"])
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_is_asked_for_behind_a_task_that_takes_a_word(task: str, flag: str) -> None:
    done = invoke(task, flag)
    # Where a task has a -h of its own, only the long one asks for help.
    if (task, flag) == ("new", "-h"):
        assert "needed value" in done.stderr
    else:
        assert done.stdout.startswith("Usage: inv[oke]"), (done.stdout, done.stderr)


@pytest.mark.parametrize("task", sorted(task_names(namespace)))
def test_help_has_an_example(task: str) -> None:
    assert f"invoke {task}" in (namespace[task].__doc__ or "")
