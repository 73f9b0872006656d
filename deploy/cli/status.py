"""invoke status: one screen that answers whether the site is well."""

from __future__ import annotations

import sys
import time
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from deploy import questions
from deploy.cli.ps import span
from deploy.cli.releases import age
from deploy.cli.task import ENVIRONMENT, ROOT, task
from deploy.console import Console, size
from deploy.conversation import Request
from deploy.errors import Refused
from deploy.inventory import read_target

WATCH_SECONDS = 5
NOT_WELL = 1


@task(help={"watch": f"look again every {WATCH_SECONDS} s, until Ctrl-C"})
def status(
    console: Console, env: str = ENVIRONMENT, watch: bool = False, json: bool = False
) -> None:
    """Is the site well? One screen, and exit code 1 when it is not: invoke status --watch

    What is live and by whom, processes, certificate, backups, disk, memory, add-ons, updates.
    """
    request = Request(ROOT, read_target(ROOT, env), "invoke status")
    if watch:
        _watch(request, console)
        return
    found = questions.ask(request, console, "status")
    console.result(_screen(found), found)
    if found["problems"]:
        sys.exit(NOT_WELL)


def _watch(request: Request, console: Console) -> None:
    """The screen, drawn anew, over one connection."""
    if console.as_json or not console.out.is_terminal:
        raise Refused("--watch draws on a terminal. For a script: invoke status --json")
    with questions.repeatedly(request, console, "status") as ask, Live(console=console.out) as live:
        try:
            while True:
                live.update(_screen(ask()), refresh=True)
                time.sleep(WATCH_SECONDS)
        except KeyboardInterrupt:
            return


def _screen(found: dict[str, Any]) -> Group:
    problems = [Text(f"not well: {problem}", style="bold red") for problem in found["problems"]]
    return Group(*problems or [Text("well", style="bold green")], _table(found))


def _table(found: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    database = found["database"]
    table.add_row("site", f"{found['url']} ({found['environment']}, {found['host']})")
    table.add_row("live", _live(found["current"]))
    if found["maintenance"]:
        table.add_row("maintenance", _maintenance(found["maintenance"]))
    if found["deploying"]:
        table.add_row("lock", found["deploying"])
    for process in found["processes"]:
        table.add_row("process", _process(process))
    table.add_row("certificate", _certificate(found["certificate"]))
    table.add_row("restore point", _restore_point(found["restore_point"]))
    table.add_row("backup", _backup(found["backups"]))
    table.add_row("proof", _proof(found["backups"]))
    table.add_row("disk", _of(found["disk"]["free"], found["disk"]["total"]))
    table.add_row("memory", _of(found["memory"]["available"], found["memory"]["total"]))
    if database and database["bytes"]:
        table.add_row("database", size(database["bytes"]))
    for addon in found["addons"]:
        table.add_row(addon["name"], f"{addon['state']}, {size(addon['memory'])}")
    table.add_row("updates", _updates(found))
    return table


def _live(current: dict[str, Any] | None) -> str:
    if not current:
        return "nothing yet"
    since = f"{age(current['since'])} ago by {current['by']}"
    return f"{current['id']}  {current['subject']}  {since}"


def _process(process: dict[str, Any]) -> str:
    release = "" if process["live"] else f" of {process['release']}"
    up = "" if process["uptime"] is None else f" for {span(process['uptime'])}"
    again = f", started again {process['restarts']} times" if process["restarts"] else ""
    return (
        f"{process['process']}{release}  {process['state']}{up}, {size(process['memory'])}{again}"
    )


def _restore_point(found: dict[str, Any] | None) -> str:
    if found is None:
        return "none: one is taken before each migration"
    return f"{size(found['bytes'])}, {age(found['at'])} ago, before {found['release']} migrated"


def _backup(found: dict[str, Any] | None) -> str:
    if found is None or found["postgresql"] is None:
        return "none yet"
    newest, archived = found["postgresql"], (found["archiving"] or {}).get("last")
    files = f", files {age(found['files']['at'])} ago" if found["files"] else ""
    log = f", its log {age(archived)} ago" if archived else ""
    return f"PostgreSQL {age(newest['at'])} ago{log}{files}, in {found['place']}"


def _proof(found: dict[str, Any] | None) -> str:
    proof = found["proof"] if found else None
    if proof is None:
        return "none yet: invoke backup.verify"
    if not proof["ok"]:
        return f"failed {age(proof['at'])} ago: {proof['label']}"
    took = f"{proof['tables']} tables in {proof['seconds']:.0f} s"
    return f"{proof['label']} restored {age(proof['at'])} ago, {took}"


def _updates(found: dict[str, Any]) -> str:
    waiting = found["security_updates"]
    count = "1 security update waits" if len(waiting) == 1 else f"{len(waiting)} for security wait"
    told = f"{count}: invoke patch" if waiting else "none for security wait"
    return told + (", and a reboot: invoke patch --reboot" if found["reboot_pending"] else "")


def _maintenance(found: dict[str, Any]) -> str:
    let_in = f"; let in: {', '.join(found['allow'])}" if found["allow"] else ""
    return f"on, since {age(found['since'])} ago, by {found['who']}{let_in}: {found['message']}"


def _certificate(certificate: dict[str, Any] | None) -> str:
    if certificate is None:
        return "none"
    return f"{certificate['days']} days left, issued by {certificate['issuer']}"


def _of(free: int, total: int) -> str:
    return f"{size(free)} free of {size(total)}"
