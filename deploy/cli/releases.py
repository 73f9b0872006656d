"""Tasks that show the releases on a droplet, and compare them with what was pushed."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from deploy import questions
from deploy.changes import details, in_short, listed, row
from deploy.cli.task import ENVIRONMENT, ROOT, task
from deploy.console import Console
from deploy.conversation import Request
from deploy.host.changes import parse
from deploy.inventory import read_target
from deploy.revision import Commits


@task(positional=["release"], optional=["release"])
def releases(
    console: Console, release: str | None = None, env: str = ENVIRONMENT, json: bool = False
) -> None:
    """List the releases on the droplet and what each changed, or tell all of one.

    Examples: invoke releases --env production --json; invoke releases 20261123T090246
    """
    found = questions.history(
        Request(ROOT, read_target(ROOT, env), "invoke releases"), console, release or ""
    )
    facts = [{**told, "commits": asdict(some) if some else None} for told, some in found]
    if release:
        console.result("\n".join(_details(*found[0])), facts[0])
    else:
        console.result(_table(found), facts)


@task()
def verify(console: Console, env: str = ENVIRONMENT, json: bool = False) -> None:
    """Compare every file of every release with what was pushed.

    Example: invoke verify --env production
    """
    questions.verify(Request(ROOT, read_target(ROOT, env), "invoke verify"), console)
    console.result("Every file is as it was pushed", {"differing": []})


def _details(release: dict[str, Any], found: Commits | None) -> list[str]:
    """Everything about one release, in lines."""
    told = [
        ("release", release["id"]),
        ("state", f"{release['state']}, {age(release['at'])} ago"),
        ("revision", f"{release['revision']}  {release['subject']} ({release['author']})"),
        ("built by", f"{release['built_by']}, {release['created_at'][:19]} UTC"),
        ("artifact", release["artifact"]),
        ("lock", f"{release['lock']}, Python {release['python']}"),
        ("config", release["config"]),
        ("migrations", f"{len(release['migrations'])} known"),
    ]
    rows = [(title, [text]) for title, text in told]
    if release["changes"]:
        changes = parse(release["changes"])
        rows.append(("changes", [f"against {changes.since}"]))
        rows.append(("", listed(found) if found else ["commits: not known here"]))
        rows += [("", some) for some in details(changes)]
    return [line for title, some in rows for line in row(title, some)]


def _table(found: list[tuple[dict[str, Any], Commits | None]]) -> Table | str:
    if not found:
        return "No releases yet. Run: invoke deploy"
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("release", "revision", "author", "age", "state", "subject"):
        # Where a terminal is narrow these two give way.
        table.add_column(column, no_wrap=column not in ("author", "subject"))
    for release, some in found:
        changed = in_short(release, some)
        table.add_row(
            release["id"],
            release["revision"][:7],
            release["author"],
            age(release["created_at"]),
            release["state"],
            Text("\n".join(filter(None, (release["subject"], changed)))),
            style="bold" if release["state"].startswith("live") else None,
        )
    return table


def age(moment: str) -> str:
    """How long ago a moment (ISO 8601) was, for people."""
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
