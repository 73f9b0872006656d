"""Tasks that make releases, take them back, and show them."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from deploy import questions, stages
from deploy.changes import details, in_short, listed, row
from deploy.cli.task import ENVIRONMENT, ROOT, task
from deploy.console import Console, size
from deploy.conversation import Request
from deploy.errors import Refused
from deploy.host.changes import parse
from deploy.inventory import read_target
from deploy.revision import Commits

if TYPE_CHECKING:
    from rich.table import Table


@task()
def build(console: Console, env: str = ENVIRONMENT, revision: str = "", json: bool = False) -> None:
    """Build a revision into an artifact: source, locked packages, static files.

    Example: invoke build --revision v1.2
    """
    artifact = stages.build_only(_request("build", env, revision), console)
    facts = {
        "artifact": artifact.digest,
        "revision": artifact.revision.commit,
        "bytes": artifact.size,
        "files": len(artifact.blobs),
    }
    told = f"{artifact.digest[:12]} of {artifact.revision.short}: {size(artifact.size)} in "
    console.result(f"{told}{len(artifact.blobs)} files", facts)


@task()
def push(
    console: Console,
    env: str = ENVIRONMENT,
    revision: str = "",
    wait: bool = False,
    json: bool = False,
) -> None:
    """Build, and bring what the droplet lacks: a sealed release that is not live.

    Example: invoke push, then invoke collectstatic, invoke migrate, invoke switch
    """
    release = stages.push(_request("push", env, revision, wait), console)
    console.result(f"{release['id']} is pushed", release)


@task()
def collectstatic(
    console: Console, env: str = ENVIRONMENT, wait: bool = False, json: bool = False
) -> None:
    """Publish the pushed release's hashed static files beside those of the others.

    Example: invoke push, then invoke collectstatic
    """
    done = stages.step(_request("collectstatic", env, wait=wait), console, "collectstatic")
    console.result(f"{done['release']['id']}: {done['new']} new static files", done)


@task()
def migrate(
    console: Console,
    env: str = ENVIRONMENT,
    allow_breaking: bool = False,
    wait: bool = False,
    json: bool = False,
) -> None:
    """Apply the pushed release's migrations, never waiting long for a lock.

    Example: invoke migrate --env staging
    """
    request = _request("migrate", env, wait=wait)
    done = stages.step(request, console, "migrate", allow_breaking=allow_breaking)
    applied = ", ".join(done["applied"]) or "no migrations"
    console.result(f"{done['release']['id']}: applied {applied}", done)


@task(
    help={
        "stop_before": "stop before collectstatic, migrate, start or switch",
        "plan_file": "deploy what this file of invoke plan --out says, or nothing",
    }
)
def deploy(
    console: Console,
    env: str = ENVIRONMENT,
    revision: str = "",
    stop_before: str = "",
    allow_breaking: bool = False,
    plan_file: str = "",
    wait: bool = False,
    json: bool = False,
) -> None:
    """Ship a revision without losing a request; a bad one is refused or taken back.

    Examples: invoke deploy --env production; invoke deploy --plan-file release.plan
    """
    if plan_file and revision:
        raise Refused("The plan says which revision. Leave out --revision, or --plan-file")
    request = replace(
        _request("deploy", env, revision, wait),
        stop_before=stop_before,
        allow_breaking=allow_breaking,
    )
    if plan_file:
        # Here, because no other deploy should wait for what a plan needs.
        from deploy import planning

        done = planning.deploy(request, Path(plan_file), console)
    else:
        done = stages.deploy(request, console)
    console.summary()
    console.result(stages.outcome(done), {**done, "phases": console.times()})


@task()
def switch(
    console: Console, env: str = ENVIRONMENT, wait: bool = False, json: bool = False
) -> None:
    """Go on with a deploy that was stopped: gate, switch, bake, retire.

    Example: invoke deploy --stop-before switch, then invoke switch
    """
    done = stages.switch(_request("switch", env, wait=wait), console)
    told = f"{done['release']['id']} is live: {done['url']}"
    console.result(told, {**done, "phases": console.times()})


@task(
    positional=["release"],
    optional=["release"],
    help={
        "reverse_migrations": "also take back the migrations that it cannot live with",
        "restore": "put the database back to what it was before those migrations",
    },
)
def rollback(
    console: Console,
    release: str | None = None,
    env: str = ENVIRONMENT,
    reverse_migrations: bool = False,
    restore: bool = False,
    wait: bool = False,
    json: bool = False,
) -> None:
    """Go back to the last release that was live and healthy, or to RELEASE.

    Examples: invoke rollback; invoke rollback 20261123T090246
    """
    request = _request("rollback", env, wait=wait)
    done = stages.rollback(request, console, release or None, reverse_migrations, restore)
    told = f"{done['release']['id']} is live again; {done['left']} was taken back: {done['url']}"
    console.result(told, {**done, "phases": console.times()})


@task(positional=["release"], optional=["release"])
def releases(
    console: Console, release: str | None = None, env: str = ENVIRONMENT, json: bool = False
) -> None:
    """List the releases on the droplet and what each changed, or tell all of one.

    Examples: invoke releases --env production --json; invoke releases 20261123T090246
    """
    found = questions.history(_request("releases", env), console, release or "")
    facts = [{**told, "commits": asdict(some) if some else None} for told, some in found]
    if release:
        console.result(escape("\n".join(_details(*found[0]))), facts[0])
    else:
        console.result(_table(found), facts)


@task()
def verify(console: Console, env: str = ENVIRONMENT, json: bool = False) -> None:
    """Compare every file of every release with what was pushed.

    Example: invoke verify --env production
    """
    questions.verify(_request("verify", env), console)
    console.result("Every file is as it was pushed", {"differing": []})


def _request(command: str, env: str, revision: str = "", wait: bool = False) -> Request:
    target = read_target(ROOT, env)
    return Request(ROOT, target, f"invoke {command}", revision or None, wait)


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
    # Here, because a deploy shows none.
    from rich.table import Table
    from rich.text import Text

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
