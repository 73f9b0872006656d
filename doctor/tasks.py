"""invoke doctor: what is fine, and what hinders, line by line."""

from __future__ import annotations

import json as documents
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from deploy import config_vars, configuring, facts_file
from deploy.build import CONTROLLER_PYTHON
from deploy.cli.task import ENVIRONMENT, ROOT, task
from deploy.console import Console
from deploy.conversation import Request
from deploy.errors import Refused
from deploy.inventory import read_target
from deploy.target import Platform, Target
from doctor.model import Finding, Verdict, counted

COLOURS = {Verdict.FINE: "green", Verdict.ADVICE: "cyan", Verdict.SKIPPED: "dim"}
HINDERED = 1


@task(
    help={
        "project": "only the project, which needs no droplet",
        "source": "look at another project: a folder, or an address that git clones from",
        "revision": "git revision to look at; default: HEAD",
        "drift": "also what differs on the droplet from what the roles would make; takes minutes",
        "fix": "set the config vars that are known to help",
    }
)
def doctor(
    console: Console,
    env: str = ENVIRONMENT,
    project: bool = False,
    source: str = "",
    revision: str = "",
    drift: bool = False,
    fix: bool = False,
    json: bool = False,
) -> None:
    """Say what is fine and what hinders a project and its droplet: invoke doctor --project

    An old project, before anything else: invoke doctor --project --source ../mysite

    Exit code 1 when something is to be done.
    """
    # Here, because every other task would wait for what only this one needs.
    from doctor import droplet as droplet_part
    from doctor import project as project_part
    from doctor.droplet import Seen

    target = read_target(ROOT, env)
    if source and fix:
        raise Refused(
            "--fix sets config vars of the environment's own project. Name this one in "
            f"{facts_file.shown(facts_file.file_of(ROOT, env))} first: site_source: {source}"
        )
    if source:
        target = replace(target, source=source, project=".", revision="")
    seen = Seen() if project else droplet_part.look(ROOT, target, drift, console)
    droplet = seen.platform or _platform(target)
    typed = bool(source or revision)
    found = project_part.look(ROOT, target, droplet, revision or None, typed, console)
    if fix:
        found = _fixed(console, env, target, found, reached=bool(seen.facts))
    groups = {"project": found, "droplet": seen.findings}
    console.result(_table(groups, env, fixable=not source), _facts(groups))
    if any(finding.hinders for finding in (*found, *seen.findings)):
        sys.exit(HINDERED)


def _fixed(
    console: Console, env: str, target: Target, found: list[Finding], reached: bool
) -> list[Finding]:
    """Set the config vars that are known to help; their findings are fine then.

    Where the droplet was not reached, they are written to the inventory alone.
    """
    values = dict(finding.sets for finding in found if finding.sets)
    if not values:
        return found

    def text(path: Path) -> str:
        return config_vars.changed(path, values, {}, ())

    if reached:
        configuring.go_live(Request(ROOT, target, "invoke doctor --fix"), env, text, console)
        where = "set"
    else:
        path = facts_file.file_of(ROOT, env)
        facts_file.write(path, text(path))
        where = f"written to {facts_file.shown(path)}"
    return [
        Finding(one.subject, Verdict.FINE, f"{one.sets[0]} is {where}") if one.sets else one
        for one in found
    ]


def _platform(target: Target) -> Platform:
    """What the droplet was when it was last asked; else this machine."""
    kept = ROOT / ".slipway" / "platforms" / f"{target.host}.json"
    if kept.exists():
        return Platform(**documents.loads(kept.read_text()))
    return Platform(CONTROLLER_PYTHON, platform.machine())


def _table(groups: Mapping[str, Sequence[Finding]], env: str, fixable: bool) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, findings in groups.items():
        for finding in findings:
            colour = COLOURS.get(finding.verdict, "red")
            told = escape(finding.told)
            table.add_row(finding.subject, f"[{colour}]{finding.verdict}[/{colour}]", told)
            if finding.command:
                table.add_row("", "", f"[bold]{escape(_for(finding.command, env))}[/bold]")
        if findings:
            told = ", ".join(f"{count} {verdict}" for verdict, count in counted(findings).items())
            table.add_row(f"the {name}", "", told, style="bold", end_section=True)
        known = [finding.sets[0] for finding in findings if finding.sets]
        if known and fixable:
            command = _for("invoke doctor --fix", env)
            table.add_row("", "", f"[bold]{command}[/bold] sets {escape(', '.join(known))}")
    return table


def _for(command: str, env: str) -> str:
    """The command, for the environment that was asked about."""
    if env == ENVIRONMENT:
        return command
    return re.sub(r"\binvoke [a-z.]+", rf"\g<0> --env {env}", command)


def _facts(groups: Mapping[str, Sequence[Finding]]) -> dict[str, Any]:
    everything = [finding for findings in groups.values() for finding in findings]
    told = {name: [asdict(finding) for finding in found] for name, found in groups.items()}
    return {**told, "counts": counted(everything)}
