"""Commands in a release: manage.py's, a shell, any program."""

from __future__ import annotations

import sys

from deploy import questions
from deploy.cli.task import ENVIRONMENT, ROOT, task, typed
from deploy.console import Console
from deploy.conversation import Request
from deploy.errors import Refused
from deploy.inventory import read_target

RELEASE = {"release": "id of a release, or the beginning of one; default: the live one"}


@task(quiet=True, help=RELEASE)
def manage(console: Console, env: str = ENVIRONMENT, release: str = "") -> None:
    """Run a manage.py command in the live release: invoke manage -- createsuperuser

    It runs on the droplet as the app's user, with the config vars and the walls of the web unit.
    Everything after -- is the command: invoke manage --env production -- dumpdata catalog
    """
    _attach(console, "manage", env, release, _words("invoke manage -- createsuperuser"))


@task(quiet=True, help=RELEASE)
def run(console: Console, env: str = ENVIRONMENT, release: str = "") -> None:
    """Run any program in the live release: invoke run -- python -m django --version

    Its venv is first in PATH, its config vars are set, its folder is the current one. It runs as
    the app's user, behind the walls of the web unit: invoke run -- sh -c 'ls | head -3'
    """
    _attach(console, "run", env, release, _words("invoke run -- python --version"), program=True)


@task(quiet=True, help=RELEASE)
def shell(console: Console, env: str = ENVIRONMENT, release: str = "") -> None:
    """Open Django's shell in the live release; reads a pipe: echo 'print(1)' | invoke shell

    Options of manage.py's shell go after --: invoke shell -- --command 'print(1)'
    """
    _attach(console, "shell", env, release, ("shell", *typed()))


@task(quiet=True, help=RELEASE)
def dbshell(console: Console, env: str = ENVIRONMENT, release: str = "") -> None:
    """Open psql on the site's database; reads a pipe: echo 'SELECT 1' | invoke dbshell

    Options of psql go after two --: invoke dbshell -- -- --command 'SELECT 1'
    """
    _attach(console, "dbshell", env, release, ("dbshell", *typed()))


def _words(example: str) -> tuple[str, ...]:
    words = typed()
    if not words:
        raise Refused(f"Say what to run, after two dashes, such as: {example}")
    return words


def _attach(
    console: Console,
    command: str,
    env: str,
    release: str,
    words: tuple[str, ...],
    program: bool = False,
) -> None:
    request = Request(ROOT, read_target(ROOT, env), f"invoke {command}")
    sys.exit(questions.attach(request, console, release, words, program))
