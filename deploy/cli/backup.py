"""Tasks about backups, their proof, and the way back."""

from __future__ import annotations

import sys
from typing import Any

from rich.table import Table

from deploy import backups
from deploy import rebuild as rebuilding
from deploy import restore as going_back
from deploy.cli.releases import age
from deploy.cli.task import ENVIRONMENT, ROOT, task
from deploy.console import Console, size
from deploy.conversation import Request
from deploy.errors import Refused
from deploy.inventory import read_target


@task(help={"full": "all of PostgreSQL, not what changed since the last full backup"})
def now(console: Console, env: str = ENVIRONMENT, full: bool = False, json: bool = False) -> None:
    """Back up PostgreSQL, uploads and the host's secrets now, beside the timers.

    Example: invoke backup --env production
    """
    target = read_target(ROOT, env)
    with console.phase("backup"):
        done = backups.run(ROOT, target, console, "full" if full else "diff")
    exact = "" if done["exact"] else "; its tables were being written, and are counted nearly"
    told = (
        f"{done['backup']}, {done['kind']}: {size(done['bytes'])} of PostgreSQL and "
        f"{size(done['files']['added'])} of files in {done['seconds']} s{exact}\n"
        "Prove it: invoke backup.verify"
    )
    console.result(told, done)


@task()
def show(console: Console, env: str = ENVIRONMENT, json: bool = False) -> None:
    """List the backups: what, when, how large, and when it was proved by restoring it.

    Example: invoke backup.list --env production
    """
    target = read_target(ROOT, env)
    with console.phase("list"):
        found = backups.ask(ROOT, target, "state")
    for problem in found["problems"]:
        console.note(f"not well: {problem}")
    console.result(_table(found), found)


@task()
def verify(console: Console, env: str = ENVIRONMENT, json: bool = False) -> None:
    """Restore the newest backup beside the site, and hold every table against its record.

    Example: invoke backup.verify --env production

    It starts a scratch cluster on the droplet, recovers it to the moment of the backup, compares
    rows and checksums, asks the live release for its migrations, and takes the cluster away.
    """
    target = read_target(ROOT, env)
    with console.phase("verify"):
        done = backups.run(ROOT, target, console, "verify")
    nearly = "" if done["exact"] else ", as far as they were not being written"
    told = (
        f"{done['label']} was restored and is what was backed up: {done['tables']} tables{nearly}, "
        f"{size(done['bytes'])} of PostgreSQL, {size(done['files']['bytes'])} of files, in "
        f"{done['seconds']} s"
    )
    console.result(told, done)


@task(
    help={
        "to": "a moment, such as '2026-11-22 14:03' (UTC without a zone), '10 min ago'",
        "before_release": "the moment before this release migrated; its id or the beginning of one",
        "migrate": "let the live release migrate a database that is older than it",
        "forget": "drop the databases that restores have replaced and kept",
        "yes": "do not ask",
        "json": "print one JSON document; without --yes it is the plan, and nothing is changed",
    }
)
def restore(
    console: Console,
    env: str = ENVIRONMENT,
    to: str = "",
    before_release: str = "",
    migrate: bool = False,
    forget: bool = False,
    yes: bool = False,
    wait: bool = False,
    json: bool = False,
) -> None:
    """Put the database back: to its newest state, a time, or just before a release.

    Example: invoke restore --to "2026-11-22 14:03"

    It says first what will be lost, keeps visitors out meanwhile, and keeps what it replaces
    until: invoke restore --forget
    """
    request = Request(ROOT, read_target(ROOT, env), "invoke restore", wait=wait)
    if forget:
        _forget(request, console, yes)
        return
    way = going_back.plan(request, console, to, before_release)
    if json and not yes:
        console.result("", {**way.facts, "written_since": way.since, "changed": False})
        return
    for line in way.lines():
        console.note(line)
    if not yes:
        _confirm(f"Put back the database of {request.target.name}?", "invoke restore --yes")
    done = going_back.carry_out(request, console, way, migrate)
    told = (
        f"The database is back, in {done['seconds']} s, and the site answers. What it replaced is "
        f"kept as {done['kept']}; drop it: invoke restore --forget"
    )
    console.result(told, {**done, "changed": True})


@task(
    help={
        "from_backup": "make it from the repository of the inventory; there is no other way so far",
        "yes": "do not ask",
    }
)
def rebuild(
    console: Console,
    env: str = ENVIRONMENT,
    from_backup: bool = False,
    yes: bool = False,
    json: bool = False,
) -> None:
    """Make a bare droplet what a lost one was: provision, data, secrets, the release that was live.

    Example: invoke rebuild --from-backup --env production

    The inventory names the new droplet's address, and the repository elsewhere with its key.
    """
    if not from_backup:
        raise Refused("Say from what. Run: invoke rebuild --from-backup")
    request = Request(ROOT, read_target(ROOT, env), "invoke rebuild")
    if not yes:
        question = f"Make {request.target.host} what {request.target.app} was?"
        _confirm(question, "invoke rebuild --from-backup --yes")
    done = rebuilding.rebuild(request, console)
    console.summary()
    until = done["until"] or "the last backup"
    release = done["release"]
    live = f"{release['id']} is live: {done['url']}" if release else "nothing was live"
    console.result(f"The data is back, until {until}. {live}", done)


def _forget(request: Request, console: Console, yes: bool) -> None:
    if not yes:
        _confirm("Drop what restores have replaced and kept?", "invoke restore --forget --yes")
    dropped = going_back.forget(request)
    names = ", ".join(f"{each['name']} ({size(each['bytes'])})" for each in dropped)
    console.result(f"Dropped: {names}" if dropped else "Nothing is kept", {"dropped": dropped})


def _confirm(question: str, command: str) -> None:
    if not sys.stdin.isatty():
        raise Refused(f"Nobody is here to ask. Look at the plan, then run: {command}")
    if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
        raise Refused("Nothing was changed")


def _table(found: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("backup", "what", "age", "size", "of", "proved"):
        table.add_column(name, justify="right" if name in ("age", "size", "of") else "left")
    for each in reversed(found["backups"]):
        proved = f"{age(each['proven'])} ago" if each["proven"] else "not yet"
        table.add_row(
            each["label"],
            f"PostgreSQL, {each['kind']}",
            age(each["at"]),
            size(each["bytes"]),
            size(each["database_bytes"]),
            "damaged" if each["damaged"] else proved,
        )
    for each in reversed(found["files"]):
        whole = [size(each[key]) if key in each else "" for key in ("added", "bytes")]
        table.add_row(each["id"], "files", age(each["at"]), *whole, "")
    return table
