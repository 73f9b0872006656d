"""invoke plan: what a deploy would change, before it does."""

from __future__ import annotations

from pathlib import Path

from deploy import plan_page, planfile, planning
from deploy.cli.task import ENVIRONMENT, ROOT, task
from deploy.console import Console
from deploy.conversation import Request
from deploy.inventory import read_target


@task(
    help={
        "host": "leave out what ansible-playbook site.yml would change",
        "out": "file to write the plan to, for invoke deploy --plan-file",
    }
)
def plan(
    console: Console,
    env: str = ENVIRONMENT,
    revision: str = "",
    host: bool = True,
    out: str = "",
    wait: bool = False,
    json: bool = False,
) -> None:
    """Show what deploy and provision would change, and change nothing that visitors see.

    Commits, packages, config vars by name, migrations with their SQL and whether the live release
    can live with it, the host by diff, disk.

    Example: invoke plan --env production --out release.plan
    """
    request = Request(ROOT, read_target(ROOT, env), "invoke plan", revision or None, wait)
    page = planning.plan(request, console, host)
    if out:
        planfile.write(Path(out), page.plan)
        console.note(f"invoke deploy --plan-file {out} deploys just this")
    console.result("\n".join(plan_page.lines(page)), page.to_json())
