"""Tasks about the droplet itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import uv
from rich.table import Table

from deploy import stages
from deploy.cli.release import age
from deploy.cli.task import ENVIRONMENT, ROOT, task
from deploy.console import Console, size
from deploy.inventory import read_target
from deploy.stages import Request


@task()
def status(console: Console, env: str = ENVIRONMENT, json: bool = False) -> None:
    """Show what is live, maintenance, units, certificate, disk, memory and database."""
    request = Request(ROOT, read_target(ROOT, env), "invoke status")
    found = stages.ask(request, console, "status")
    console.result(_table(found), found)


@task(help={"check": "change nothing, show what would be changed"})
def provision(console: Console, env: str = ENVIRONMENT, check: bool = False) -> None:
    """Run the playbook: ansible-playbook site.yml."""
    playbook = Path(sys.executable).with_name("ansible-playbook")
    options = ("--check", "--diff") if check else ()
    argv = (playbook, "site.yml", "--inventory", f"inventory/{env}.yml", *options)
    sys.exit(subprocess.run(argv, cwd=ROOT).returncode)


@task()
def lock(console: Console) -> None:
    """Lock every requirements.in with hashes, keeping what is locked where it still fits."""
    tools = (file.parent for file in sorted((ROOT / "audits" / "tools").glob("*/requirements.in")))
    for folder in (ROOT / "app", ROOT, *tools):
        compile_lock = (uv.find_uv_bin(), "pip", "compile", "requirements.in", "--quiet")
        options = ("--universal", "--python-version", "3.11", "--generate-hashes")
        argv = (*compile_lock, *options, "--output-file", "requirements.txt")
        console.note(f"{folder.name}/requirements.txt")
        if subprocess.run(argv, cwd=folder, stdout=subprocess.DEVNULL).returncode:
            sys.exit(2)


def _table(found: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    current, certificate, database = found["current"], found["certificate"], found["database"]
    table.add_row("site", f"{found['url']} ({found['environment']}, {found['host']})")
    if current:
        since = f"{age(current['since'])} ago by {current['built_by']}"
        table.add_row("live", f"{current['id']}  {current['subject']}  {since}")
    else:
        table.add_row("live", "nothing yet. Run: invoke deploy")
    if found["maintenance"]:
        table.add_row("maintenance", _maintenance(found["maintenance"]))
    if found["deploying"]:
        table.add_row("lock", found["deploying"])
    for unit in found["units"]:
        told = f"{unit['active']}/{unit['sub']}, {unit['restarts']} restarts"
        table.add_row("unit", f"{unit['release']}  {told}")
    for name in found["failed_units"]:
        table.add_row("failed", f"{name}  Look: journalctl -u {name} -n 50")
    table.add_row("certificate", _certificate(certificate))
    table.add_row("disk", _of(found["disk"]["free"], found["disk"]["total"]))
    table.add_row("memory", _of(found["memory"]["available"], found["memory"]["total"]))
    if database:
        told = size(database["bytes"]) if database["bytes"] else database.get("problem", "unknown")
        table.add_row("database", told)
    return table


def _maintenance(found: dict[str, Any]) -> str:
    let_in = f"; let in: {', '.join(found['allow'])}" if found["allow"] else ""
    return f"on, since {age(found['since'])} ago, by {found['who']}{let_in}: {found['message']}"


def _certificate(certificate: dict[str, Any] | None) -> str:
    if certificate is None:
        return "Nginx shows none. Run: ansible-playbook site.yml"
    if certificate["self_signed"]:
        return "self-signed: the ACME server has issued none yet. Run: ansible-playbook site.yml"
    if certificate["days"] < 0:
        return f"expired on {certificate['not_after'][:10]}. Run: ansible-playbook site.yml"
    return f"{certificate['days']} days left, issued by {certificate['issuer']}"


def _of(free: int, total: int) -> str:
    return f"{size(free)} free of {size(total)}"
