"""The tasks as they are typed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def invoke(*args: str) -> "subprocess.CompletedProcess[str]":
    argv = (str(Path(sys.executable).with_name("invoke")), *args)
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)


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


@pytest.mark.parametrize("task", ["manage", "run"])
def test_a_command_without_words_is_told_how(task: str) -> None:
    done = invoke(task, "--env", "nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("refused: Say what to run, after two dashes, such as: invoke")
    assert invoke(task, "--env", "nowhere", "--", "x").stderr.startswith("refused: No environment")


@pytest.mark.parametrize("task", ["manage", "run", "shell", "dbshell"])
def test_help_has_an_example(task: str) -> None:
    done = invoke("--help", task)
    assert done.returncode == 0
    assert f"invoke {task} " in done.stdout.partition("Docstring:")[2]
