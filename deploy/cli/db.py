"""Tasks about whole databases: copied between environments, exchanged, brought back."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.table import Table

from deploy import copying, moving, streaming
from deploy.cli.task import ENVIRONMENT, ROOT, task
from deploy.console import Console, size
from deploy.conversation import Request
from deploy.copying import Copy, Wish
from deploy.errors import Refused
from deploy.inventory import read_target

HELP = {
    "anonymise": "SQL in place of the project's own hooks/anonymise.sql",
    "no_anonymise": "let the rows of real people come as they are",
    "replace": "name of the environment with live data that may be replaced",
    "yes": "do not ask",
    "json": "print one JSON document; without --yes it is the plan, and nothing is changed",
}


@task(
    help={
        **HELP,
        "env": "environment whose database is replaced (or SLIPWAY_ENV)",
        "from_": "environment whose database is copied",
        "file": "write the copy into this file instead, in pg_dump's custom format",
    }
)
def pull(
    console: Console,
    from_: str = "",
    env: str = ENVIRONMENT,
    file: str = "",
    anonymise: str = "",
    no_anonymise: bool = False,
    replace: str = "",
    yes: bool = False,
    wait: bool = False,
    json: bool = False,
) -> None:
    """Copy the database of another environment into this one, made anonymous on its way.

    Example: invoke db.pull --from production --env staging

    It comes through this machine and is written to no disk of it. The project's
    hooks/anonymise.sql runs on it before anybody there can see a row.
    """
    if not from_:
        raise Refused("Say whose database is to be copied: invoke db.pull --from production")
    there = Request(ROOT, read_target(ROOT, from_), "invoke db.pull")
    if file:
        copying.check_file(there.target, no_anonymise)
        count = moving.save(console, moving.of_environment(there, console), Path(file))
        told = f"{file} has the database of {from_}, {size(count)}, every row as it is"
        console.result(told, {"changed": True, "file": file, "bytes": count})
        return
    here = Request(ROOT, read_target(ROOT, env), "invoke db.pull", wait=wait)
    _move(console, there, here, _wish(replace, anonymise, no_anonymise), yes, json)


@task(
    help={
        **HELP,
        "env": "environment whose database is copied (or SLIPWAY_ENV)",
        "to": "environment whose database is replaced",
        "file": "copy this archive of pg_dump instead (its custom format)",
    }
)
def push(
    console: Console,
    to: str = "",
    env: str = ENVIRONMENT,
    file: str = "",
    anonymise: str = "",
    no_anonymise: bool = False,
    replace: str = "",
    yes: bool = False,
    wait: bool = False,
    json: bool = False,
) -> None:
    """Copy the database of this environment, or an archive, into another environment.

    Example: invoke db.push --to staging

    One with live data is replaced only by who types its name twice:
    invoke db.push --file library.dump --to production --replace production
    """
    if not to:
        raise Refused("Say whose database is to be replaced: invoke db.push --to staging")
    there = Request(ROOT, read_target(ROOT, to), "invoke db.push", wait=wait)
    wish = _wish(replace, anonymise, no_anonymise)
    if file:
        _replace(console, moving.of_file(Path(file)), there, wish, yes, json)
        return
    here = Request(ROOT, read_target(ROOT, env), "invoke db.push")
    _move(console, here, there, wish, yes, json)


@task()
def show(console: Console, env: str = ENVIRONMENT, json: bool = False) -> None:
    """Show the site's database, and those that were replaced and are kept.

    Example: invoke db --env staging
    """
    target = read_target(ROOT, env)
    found = moving.shown(target)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("database")
    table.add_column("size", justify="right")
    table.add_column("what")
    rows = sum(found["tables"].values())
    what = f"live: {len(found['tables'])} tables, about {rows} rows, PostgreSQL {found['major']}"
    table.add_row(target.app, size(found["bytes"]), what)
    for each in found["replaced"]:
        what = "was replaced; back: invoke db.back, away: invoke db.forget"
        table.add_row(each["name"], size(each["bytes"]), what)
    for each in found["incoming"]:
        what = "left half made by a run that was killed; away: invoke db.forget"
        table.add_row(each["name"], size(each["bytes"]), what)
    console.result(table, found)


@task(
    positional=["database"],
    optional=["database"],
    help={
        "database": "one that is kept; default: the one that was replaced last; see: invoke db",
        "yes": "do not ask",
    },
)
def back(
    console: Console,
    database: str = "",
    env: str = ENVIRONMENT,
    yes: bool = False,
    wait: bool = False,
    json: bool = False,
) -> None:
    """Put a database that was replaced back in its place; the one of now is kept.

    Example: invoke db.back --env staging
    """
    request = Request(ROOT, read_target(ROOT, env), "invoke db.back", wait=wait)
    name = copying.chosen(request.target, moving.shown(request.target), database)
    if not yes:
        confirm(f"Put {name} in the place of the database of {env}?", "invoke db.back --yes")
    done = moving.back(request, console, name)
    told = f"{env} has {name} again. The one before is kept as {done['kept']}"
    console.result(told, {"changed": True, **done})


@task(
    positional=["database"],
    optional=["database"],
    help={"database": "one that is kept; default: all of them", "yes": "do not ask"},
)
def forget(
    console: Console,
    database: str = "",
    env: str = ENVIRONMENT,
    yes: bool = False,
    json: bool = False,
) -> None:
    """Drop the databases that were replaced and kept, and what killed runs left.

    Example: invoke db.forget --env staging
    """
    target = read_target(ROOT, env)
    found = moving.shown(target)
    names = [each["name"] for each in (*found["replaced"], *found["incoming"])]
    if database:
        if database not in names:
            raise Refused(f"{env} keeps no database {database}: {', '.join(names) or 'none'}")
        names = [database]
    if not names:
        console.result("Nothing is kept", {"changed": False, "dropped": []})
        return
    if not yes:
        confirm(f"Drop {', '.join(names)} of {env}?", "invoke db.forget --yes")
    dropped = moving.forget(target, names)
    told = ", ".join(f"{each['name']} ({size(each['bytes'])})" for each in dropped)
    console.result(f"Dropped: {told}", {"changed": True, "dropped": dropped})


def _wish(replace: str, anonymise: str, no_anonymise: bool) -> Wish:
    return Wish(replace, Path(anonymise) if anonymise else None, no_anonymise)


def _move(
    console: Console, source: Request, receiver: Request, wish: Wish, yes: bool, json: bool
) -> None:
    named = Copy(streaming.Source(source.target.environment), source.target.live_data, None)
    # Before anything is asked that takes time.
    copying.check_wish(named, receiver.target, wish)
    _replace(console, moving.of_environment(source, console), receiver, wish, yes, json)


def _replace(
    console: Console, copy: Copy, receiver: Request, wish: Wish, yes: bool, json: bool
) -> None:
    with console.phase("plan"):
        move = moving.plan(receiver, console, copy, wish)
    if json and not yes:
        console.result("", {**move.facts(), "changed": False})
        return
    for line in move.lines():
        console.note(line)
    name = receiver.target.environment
    if not yes:
        confirm(f"Replace the database of {name}?", f"{receiver.command} --yes")
    done = moving.carry_out(receiver, console, move)
    told = (
        f"{name} has the database of {copy.source.name}: {size(done['bytes'])}, "
        f"{len(done['tables'])} tables, made in {done['seconds']} s. The one before is kept as "
        f"{done['kept']}: invoke db.back, or invoke db.forget"
    )
    console.result(told, {**move.facts(), "changed": True, **done})


def confirm(question: str, command: str) -> None:
    """Ask. Raises Refused for anything but a yes."""
    if not sys.stdin.isatty():
        raise Refused(f"Nobody is here to ask. Look at the plan, then run: {command}")
    if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
        raise Refused("Nothing was changed")
