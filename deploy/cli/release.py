"""Tasks that make releases, and take them back.

Each imports what it needs once the release tool is being started on the droplet, which takes as
long.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.cli.task import ENVIRONMENT, ROOT, task
from deploy.console import Console, size
from deploy.errors import Refused
from deploy.inventory import read_target
from deploy.multiplexed import begun

if TYPE_CHECKING:
    from deploy.conversation import Request


@task()
def build(console: Console, env: str = ENVIRONMENT, revision: str = "", json: bool = False) -> None:
    """Build a revision into an artifact: source, locked packages, static files.

    Example: invoke build --revision v1.2
    """
    request = _request("build", env, revision)
    from deploy import stages

    artifact = stages.build_only(request, console)
    files = len(artifact.objects)
    facts = {
        "artifact": artifact.digest,
        "revision": artifact.revision.commit,
        "bytes": artifact.size,
        "files": files,
    }
    told = f"{artifact.digest[:12]} of {artifact.revision.short}: {size(artifact.size)} in "
    console.result(f"{told}{files} files", facts)


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
    request = _request("push", env, revision, wait)
    from deploy import stages

    release = stages.push(request, console)
    console.result(f"{release['id']} is pushed", release)


@task()
def collectstatic(
    console: Console, env: str = ENVIRONMENT, wait: bool = False, json: bool = False
) -> None:
    """Publish the pushed release's hashed static files beside those of the others.

    Example: invoke push, then invoke collectstatic
    """
    request = _request("collectstatic", env, wait=wait)
    from deploy import stages

    done = stages.step(request, console, "collectstatic")
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
    from deploy import stages

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
    from deploy import stages

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
    request = _request("switch", env, wait=wait)
    from deploy import stages

    done = stages.switch(request, console)
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
    from deploy import stages

    done = stages.rollback(request, console, release or None, reverse_migrations, restore)
    told = f"{done['release']['id']} is live again; {done['left']} was taken back: {done['url']}"
    console.result(told, {**done, "phases": console.times()})


def _request(command: str, env: str, revision: str = "", wait: bool = False) -> Request:
    target = read_target(ROOT, env)
    connect = begun(target)
    from deploy.conversation import Request

    return Request(ROOT, target, f"invoke {command}", revision or None, wait, connect=connect)
