"""The task that tries migrations on a copy of the data."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from deploy import rehearsal
from deploy.cli.task import ENVIRONMENT, ROOT, task
from deploy.console import Console, size
from deploy.conversation import Request
from deploy.inventory import read_target


@task()
def rehearse(
    console: Console,
    env: str = ENVIRONMENT,
    revision: str = "",
    wait: bool = False,
    json: bool = False,
) -> None:
    """Apply the pending migrations to the newest backup beside the site: how long, which locks.

    Example: invoke migrate.rehearse --env production

    The release is pushed, and does not go live. Times are those of this droplet, with nobody else
    at the tables.
    """
    target = read_target(ROOT, env)
    request = Request(ROOT, target, "invoke migrate.rehearse", revision or None, wait=wait)
    done = rehearsal.rehearse(request, console)
    console.result(_table(done) if done["migrations"] else "No migration is pending", done)


def _table(done: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("migration", "seconds", "keeps out", "writes anew"):
        table.add_column(name, justify="right" if name == "seconds" else "left")
    for migration in done["migrations"]:
        locks = [
            f"{lock['keeps_out']} of {lock['table']}, {size(lock['bytes'])}"
            for lock in migration["locks"]
        ]
        table.add_row(
            migration["name"],
            f"{migration['seconds']:.2f}",
            "\n".join(locks) or "nobody",
            ", ".join(migration["rewritten"]),
        )
    return table
