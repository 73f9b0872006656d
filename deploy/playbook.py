"""Running Ansible in the middle of a task: a playbook, or one question."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
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
