"""The site as visitors find it: its address and its certificate."""

from __future__ import annotations

import sys
import webbrowser
from datetime import datetime
from typing import Any

from rich.table import Table

from deploy import questions
from deploy.cli.task import ENVIRONMENT, ROOT, task
from deploy.console import Console
from deploy.conversation import Request
from deploy.inventory import read_target


# Python has an `open` of its own.
@task(name="open")
def open_site(console: Console, env: str = ENVIRONMENT, json: bool = False) -> None:
    """Open the site in the browser, and print its address: invoke open --env production"""
    url = f"https://{read_target(ROOT, env).domain}/"
    opened = webbrowser.open(url)
    if not opened:
        console.note("no browser was found here; the address is")
    console.result(url, {"url": url, "opened": opened})


@task(quiet=True)
def certs(console: Console, env: str = ENVIRONMENT, json: bool = False) -> None:
    """Show the certificate: names, issuer, days left, renewal: invoke certs --json

    Exit code 1 when less than a third of its life is left: it should have been renewed.
    """
    found = questions.ask(Request(ROOT, read_target(ROOT, env), "invoke certs"), console, "certs")
    console.result(_table(found), found)
    if found["due"]:
        sys.exit(1)


def _table(found: dict[str, Any]) -> Table | str:
    certificate = found["certificate"]
    if certificate is None:
        return f"Nginx shows no certificate for {found['domain']}. Run: ansible-playbook site.yml"
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("names", ", ".join(certificate["names"]) or found["domain"])
    by_itself = "itself: no authority has issued one yet. Run: ansible-playbook site.yml"
    table.add_row("issuer", by_itself if certificate["self_signed"] else certificate["issuer"])
    late = ". It should have been renewed. Run: ansible-playbook site.yml" if found["due"] else ""
    table.add_row(
        "days left", f"{certificate['days']}, until {certificate['not_after'][:10]}{late}"
    )
    table.add_row("last renewal", moment(certificate["not_before"]))
    result = "" if found["last_result"] == "success" else f": {found['last_result']}"
    table.add_row("last attempt", f"{moment(found['last_attempt'])}{result}")
    table.add_row("next attempt", moment(found["next_attempt"]))
    return table


def moment(text: str | None) -> str:
    """A moment (ISO 8601) for people."""
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC" if text else "none"
