"""invoke tasks of the lab: `invoke lab.up`, `lab.down`, `lab.list`, `lab.ssh`, `lab.reboot`."""

import functools
import sys
from collections.abc import Callable
from json import dumps as to_json
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task
from rich.console import Console
from rich.table import Table

from lab import droplets
from lab.errors import LabError

console = Console(highlight=False)


def in_words(body: Callable[..., Any]) -> Callable[..., Any]:
    """End with the sentence of a LabError instead of a traceback."""

    @functools.wraps(body)
    def told(*args: Any, **kwargs: Any) -> Any:
        try:
            return body(*args, **kwargs)
        except LabError as error:
            raise Exit(str(error), code=1) from None

    return told


NAME_HELP = {"name": "the droplet, e.g. library or dev13"}


@task(help={**NAME_HELP, "suite": "trixie (default) or bookworm", "fresh": "rebuild the image"})
@in_words
def up(
    context: Context,
    name: str = droplets.DEFAULT_NAME,
    suite: str = "",
    fresh: bool = False,
) -> None:
    """Start a droplet; make it, and all it needs, when it is not there yet.

    Example: invoke lab.up --name second --suite bookworm
    """
    droplet = droplets.up(name, suite or None, fresh)
    console.print(f"{droplet.name} is running: {droplet.address}, {droplet.host}")
    console.print(f"Log in: invoke lab.ssh --name {droplet.name}")


@task(help={**NAME_HELP, "all": "every droplet, and all that a crash may have left"})
@in_words
def down(context: Context, name: str = "", all: bool = False) -> None:
    """Remove a droplet and its disk.

    Example: invoke lab.down --name second
    """
    if bool(name) == all:
        raise LabError("Which droplet? Run: invoke lab.down --name NAME, or invoke lab.down --all")
    if all:
        removed = droplets.down_all()
        console.print(f"Removed: {', '.join(removed) or 'nothing was there'}")
    else:
        droplets.get(name)
        droplets.down(name)
        console.print(f"Removed: {name}")


@task(name="list", help={"json": "as JSON"})
@in_words
def list_(context: Context, json: bool = False) -> None:
    """Show the droplets and their state.

    Example: invoke lab.list --json
    """
    rows = [droplet.summary() for droplet in droplets.all_droplets()]
    if json:
        print(to_json(rows, indent=2))
        return
    columns = ("name", "suite", "address", "state", "boots")
    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*(str(row[column]) for column in columns))
    console.print(table if rows else "No droplet. Start one: invoke lab.up")


@task(help=NAME_HELP)
@in_words
def ssh(context: Context, name: str = droplets.DEFAULT_NAME) -> None:
    """Log in to a droplet as root, or run what follows: invoke lab.ssh --name NAME -- COMMAND"""
    # invoke stops reading at `--` and does not hand on what comes after it.
    command = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    droplets.log_in(name, *command)


@task(help=NAME_HELP)
@in_words
def reboot(context: Context, name: str = droplets.DEFAULT_NAME) -> None:
    """Reboot a droplet and wait until it is up again.

    Example: invoke lab.reboot --name second
    """
    droplets.reboot(name)


namespace = Collection("lab", up, down, list_, ssh, reboot)
