"""Tasks about the config vars of the site."""

from __future__ import annotations

from dataclasses import replace

from deploy import stages
from deploy.cli.task import ENVIRONMENT, ROOT, task
from deploy.console import Console
from deploy.errors import Refused
from deploy.inventory import read_target
from deploy.playbook import run
from deploy.stages import Request


@task(help={"leaked": "the old key counts no more: everybody is logged out"})
def rotate(
    console: Console, env: str = ENVIRONMENT, leaked: bool = False, json: bool = False
) -> None:
    """Make a new secret key on the droplet and go live with it; sessions outlive it."""
    request = Request(ROOT, read_target(ROOT, env), "invoke config.rotate")
    revision = stages.settled_revision(request, console)
    with console.phase("rotate"):
        problem = run(ROOT, "rotate", env, {"app_fallback_days": 0} if leaked else {})
    if problem:
        raise Refused(f"The secret key was not rotated: {problem[0]}", problem[1:])
    done = stages.deploy(replace(request, revision=revision), console)
    console.summary()
    kept = "everybody is logged out" if leaked else "sessions of before go on"
    told = f"{done['release']['id']} is live with a new secret key, and {kept}: {done['url']}"
    console.result(told, {**done, "phases": console.times()})
