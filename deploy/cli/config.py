"""Tasks about the config vars of the site."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.table import Table

from deploy import config_vars, configuring, facts_file, questions, stages
from deploy.cli.task import ENVIRONMENT, ROOT, task, typed
from deploy.config_vars import Value
from deploy.console import Console
from deploy.conversation import Request
from deploy.errors import Refused
from deploy.inventory import read_target
from deploy.playbook import run


@task(quiet=True)
def show(console: Console, env: str = ENVIRONMENT, json: bool = False) -> None:
    """Show the config vars that the inventory sets; secrets stay hidden: invoke config --json

    The playbook adds DATABASE_URL, the hosts and the media folder, and makes the secret key.
    """
    read_target(ROOT, env)
    values = config_vars.listed(facts_file.file_of(ROOT, env))
    console.result(_table(values), {name: vars(value) for name, value in values.items()})


# Python has a `set` of its own.
@task(
    name="set",
    positional=["pair"],
    optional=["pair"],
    help={
        "pair": "NAME=VALUE; more of them after --",
        "secret": "name of a secret, whose value is asked for, or read from a pipe",
        "plain": "take a value as it is although its name sounds like a secret's",
    },
)
def set_(
    console: Console,
    pair: str | None = None,
    secret: str = "",
    plain: bool = False,
    env: str = ENVIRONMENT,
    wait: bool = False,
    json: bool = False,
) -> None:
    """Set config vars, and go live with them: invoke config.set EMAIL_HOST=mail.example.org

    Several: invoke config.set -- A=1 B=2. A secret becomes a vault value, and is asked for or read
    from a pipe: invoke config.set --secret API_TOKEN < token.txt

    The same code runs as a new release; a rollback takes it back.
    """
    values = config_vars.pairs([pair, *typed()] if pair else typed(), plain)
    secrets = {config_vars.checked_name(secret): _secret(secret)} if secret else {}
    if not values and not secrets:
        raise Refused("Say what to set, such as: invoke config.set COLOUR=blue")
    names = (*values, *secrets)

    def text(path: Path) -> str:
        return config_vars.changed(path, values, secrets, ())

    _go_live(console, "config.set", env, wait, text, f"with {', '.join(names)} set")


@task(positional=["name"], help={"name": "the config var; more of them after --"})
def unset(
    console: Console, name: str, env: str = ENVIRONMENT, wait: bool = False, json: bool = False
) -> None:
    """Take config vars out of the inventory, and go live without: invoke config.unset COLOUR"""
    names = (name, *typed())

    def text(path: Path) -> str:
        return config_vars.changed(path, {}, {}, names)

    _go_live(console, "config.unset", env, wait, text, f"without {', '.join(names)}")


@task(help={"leaked": "the old key counts no more: everybody is logged out"})
def rotate(
    console: Console, env: str = ENVIRONMENT, leaked: bool = False, json: bool = False
) -> None:
    """Make a new secret key on the droplet and go live with it; sessions outlive it.

    Example: invoke config.rotate --env production
    """
    request = Request(ROOT, read_target(ROOT, env), "invoke config.rotate")
    revision = questions.settled_revision(request, console)
    if revision is None:
        raise Refused(f"Nothing is live on {request.target.name} yet. Run: invoke deploy")
    with console.phase("rotate"):
        problem = run(ROOT, "rotate", env, {"app_fallback_days": 0} if leaked else {})
    if problem:
        raise Refused(f"The secret key was not rotated: {problem[0]}", problem[1:])
    done = stages.deploy(replace(request, revision=revision), console)
    console.summary()
    kept = "everybody is logged out" if leaked else "sessions of before go on"
    told = f"{done['release']['id']} is live with a new secret key, and {kept}: {done['url']}"
    console.result(told, {**done, "phases": console.times()})


def _secret(name: str) -> str:
    """Asked for without an echo; from a pipe all of it, but for the line end that editors add."""
    if sys.stdin.isatty():
        return getpass.getpass(f"{name}: ")
    return sys.stdin.read().removesuffix("\n")


def _go_live(
    console: Console, command: str, env: str, wait: bool, text: Callable[[Path], str], what: str
) -> None:
    request = Request(ROOT, read_target(ROOT, env), f"invoke {command}", wait=wait)
    done = configuring.go_live(request, env, text, console)
    console.summary()
    console.result(told_of(done, what), {**done, "phases": console.times()})


def told_of(done: Mapping[str, Any], what: str) -> str:
    """What a change of config vars came to, for people; ``what`` is such as "with COLOUR set"."""
    if done["release"] is None:
        return f"The first deploy goes live {what}. Run: invoke deploy\nCommit {done['file']}"
    release = done["release"]["id"]
    if done["changed"]:
        return f"{release} is live {what}: {done['url']}\nCommit {done['file']}"
    return f"Nothing changed: {release} runs with these config vars already"


def _table(values: dict[str, Value]) -> Table | str:
    if not values:
        return "The inventory sets none. Run: invoke config.set NAME=VALUE"
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in values.items():
        table.add_row(name, "(secret)" if value.text is None else value.text)
    return table
