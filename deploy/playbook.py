"""Running Ansible in the middle of a task: a playbook, or one question."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LINES = 20


class NoAnswer(Exception):
    """Ansible ended without one; its arguments are the last lines of what it said."""


def ask(root: Path, *arguments: str | Path) -> dict[str, Any]:
    """``ansible`` with these arguments: what its module answers, by host; {} without a host.

    Raises:
        NoAnswer: it cannot read the inventory, or reaches nobody.
    """
    done = subprocess.run(
        (Path(sys.executable).with_name("ansible"), *arguments),
        cwd=root,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={
            **os.environ,
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            "ANSIBLE_LOAD_CALLBACK_PLUGINS": "true",
        },
    )
    try:
        plays = json.loads(done.stdout)["plays"]
    except ValueError:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        raise NoAnswer(*said[-10:]) from None
    return {
        host: answer
        for play in plays
        for task in play["tasks"]
        for host, answer in task["hosts"].items()
    }


@contextmanager
def checking(root: Path, inventory: str, host: str) -> Iterator[Callable[[], dict[str, Any]]]:
    """Have ``site.yml`` say what it would change on a host, while the block runs.

    Gives what waits for its document, of ansible.posix.json; that raises NoAnswer without one. A
    block that ends earlier ends Ansible.

    Args:
        inventory: its file, below the repository.
    """
    options = ("--inventory", inventory, "--limit", host, "--check", "--diff")
    # Files, because a pipe that nobody reads yet would hold Ansible up.
    with (
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
        subprocess.Popen(
            (Path(sys.executable).with_name("ansible-playbook"), "site.yml", *options),
            cwd=root,
            stdout=out,
            stderr=err,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
        ) as process,
    ):

        def wait() -> dict[str, Any]:
            process.wait()
            out.seek(0)
            err.seek(0)
            return _document(out.read(), err.read())

        try:
            yield wait
        finally:
            process.terminate()


def _document(out: str, err: str) -> dict[str, Any]:
    start = out.find("{")
    if start < 0:
        cause = (err or out).strip().splitlines() or ["no output"]
        raise NoAnswer(f"The playbook did not run: {cause[-1]}")
    found: dict[str, Any] = json.loads(out[start:])
    return found


def facts(root: Path, name: str, inventory: str, variable: str) -> dict[str, Any]:
    """What ``playbooks/<name>.yml`` sets a fact to, by host; the playbook runs to its end.

    Raises:
        NoAnswer: it failed; the last argument says why.
    """
    program = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run(
        (str(program), "--inventory", inventory, f"playbooks/{name}.yml"),
        cwd=root,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
    )
    answers = [
        (host, answer)
        for play in _document(done.stdout, done.stderr)["plays"]
        for task in play["tasks"]
        for host, answer in task["hosts"].items()
    ]
    for _, answer in answers:
        if answer.get("failed") or answer.get("unreachable"):
            raise NoAnswer(str(answer.get("msg") or answer.get("stderr") or "it did not say why"))
    return {
        host: answer["ansible_facts"][variable]
        for host, answer in answers
        if variable in answer.get("ansible_facts", {})
    }


def run(root: Path, name: str, environment: str, variables: Mapping[str, Any]) -> list[str]:
    """Run ``playbooks/<name>.yml`` on an environment, quietly.

    Args:
        variables: extra variables; no secrets, they are arguments of a process.

    Returns:
        Nothing when it went well; else a sentence, and after it the end of what Ansible said.
    """
    program = Path(sys.executable).with_name("ansible-playbook")
    extra = ("--extra-vars", json.dumps(dict(variables)))
    argv = (str(program), "--inventory", f"inventory/{environment}.yml", *extra)
    done = subprocess.run(
        (*argv, f"playbooks/{name}.yml"),
        cwd=root,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode == 0:
        return []
    said = [line for line in done.stdout.splitlines() if line.strip()]
    return [f"ansible-playbook playbooks/{name}.yml ended with {done.returncode}.", *said[-LINES:]]
