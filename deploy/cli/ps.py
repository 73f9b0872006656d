"""invoke ps: what runs, and starting it anew."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from deploy import configuring, questions, scaling
from deploy.cli.task import ENVIRONMENT, ROOT, task, typed
from deploy.console import Console, size
from deploy.conversation import Request
from deploy.inventory import read_target


@task(quiet=True)
def show(console: Console, env: str = ENVIRONMENT, json: bool = False) -> None:
    """Show what runs: process types, their release, state, uptime, memory: invoke ps --json"""
    found = questions.ask(Request(ROOT, read_target(ROOT, env), "invoke ps"), console, "ps")
    console.result(_table(found), found)


@task(help={"process": "process type of the Procfile; default: all of them"})
def restart(
    console: Console,
    env: str = ENVIRONMENT,
    process: str = "",
    wait: bool = False,
    json: bool = False,
) -> None:
    """Restart the live release without losing a request: invoke ps.restart --process worker

    It keeps the config vars it was bound to. For newer ones: invoke deploy
    """
    request = Request(ROOT, read_target(ROOT, env), "invoke ps.restart", wait=wait)
    done = questions.restart(request, console, process)
    told = f"{', '.join(done['restarted'])} of {done['release']['id']} restarted"
    console.result(told, {**done, "phases": console.times()})


@task(
    positional=["pair"],
    optional=["pair"],
    help={"pair": "TYPE=NUMBER; more of them after --"},
)
def scale(
    console: Console,
    pair: str | None = None,
    env: str = ENVIRONMENT,
    wait: bool = False,
    json: bool = False,
) -> None:
    """Run more or less processes of a type: invoke ps.scale worker=2

    Several: invoke ps.scale -- web=4 worker=2. The inventory keeps the numbers. `web` is how many
    workers Gunicorn has; no request is lost. 0 stops a type.
    """
    counts = scaling.counts([pair, *typed()] if pair else typed())
    request = Request(ROOT, read_target(ROOT, env), "invoke ps.scale", wait=wait)
    done = configuring.scale(request, env, counts, console)
    told = ", ".join(f"{process}={count}" for process, count in counts.items())
    console.result(
        f"{done['release']['id']} runs with {told}\nCommit {done['file']}",
        {**done, "phases": console.times()},
    )


def _table(found: list[dict[str, Any]]) -> Table | str:
    if not found:
        return "Nothing runs. Run: invoke deploy"
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("process", "release", "state", "uptime", "memory", "cpu", "restarts"):
        right = column in ("uptime", "memory", "cpu", "restarts")
        table.add_column(column, no_wrap=True, justify="right" if right else "left")
    for entry in found:
        table.add_row(
            entry["process"],
            entry["release"] + (" (live)" if entry["live"] else ""),
            entry["state"],
            "" if entry["uptime"] is None else span(entry["uptime"]),
            size(entry["memory"]),
            f"{entry['cpu']:.1f} s",
            str(entry["restarts"]),
        )
    return table


def span(seconds: int) -> str:
    """A length of time for people: its two largest units."""
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next((n for n, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count) or "0 s"
