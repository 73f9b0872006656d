"""Tasks that keep visitors out for a while, and let them in again."""

from __future__ import annotations

from deploy import questions
from deploy.cli.task import ENVIRONMENT, ROOT, task
from deploy.console import Console
from deploy.conversation import Request
from deploy.host.maintenance import told_off, told_on
from deploy.inventory import read_target


@task(
    iterable=["allow"],
    help={
        "message": "what the page says; plain text",
        "allow": "a single address, IPv4 or IPv6, that sees the site; may be given several times",
    },
)
def on(
    console: Console,
    message: str = "",
    allow: list[str] | None = None,
    env: str = ENVIRONMENT,
    wait: bool = False,
    json: bool = False,
) -> None:
    """Show visitors a page with status 503; deploys and health checks go on.

    Example: invoke maintenance.on --message "Back at noon." --allow 203.0.113.7

    Said again, it replaces message and addresses. Static files and uploads are served meanwhile.
    """
    request = Request(ROOT, read_target(ROOT, env), "invoke maintenance.on", wait=wait)
    done = questions.maintenance(request, console, "on", message=message, allow=allow or [])
    console.result(told_on(done), done)


@task()
def off(console: Console, env: str = ENVIRONMENT, wait: bool = False, json: bool = False) -> None:
    """Show visitors the site again.

    Example: invoke maintenance.off --env production
    """
    request = Request(ROOT, read_target(ROOT, env), "invoke maintenance.off", wait=wait)
    done = questions.maintenance(request, console, "off")
    console.result(told_off(done), done)
