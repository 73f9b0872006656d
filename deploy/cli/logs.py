"""invoke logs: what the site and Nginx wrote down."""

from __future__ import annotations

import json as documents
import os
import re
import sys
from datetime import datetime

from rich.text import Text

from deploy import questions
from deploy.cli.task import ENVIRONMENT, ROOT, task
from deploy.console import Console
from deploy.conversation import Request
from deploy.inventory import read_target

# A log holds what visitors sent: none of it may move the cursor of whoever reads it.
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


@task(
    quiet=True,
    help={
        "follow": "show lines as they come, until Ctrl-C",
        "since": "from this time on: '10 min ago', yesterday, 09:30, '2026-11-25 09:30' (UTC)",
        "lines": "how many at most; default: 100, or all with --since",
        "process": "process type of the Procfile; default: web",
        "release": "id of a release, or the beginning of one; default: the live one",
        "nginx": "Nginx's lines of this site instead",
        "grep": "only lines with this text in them",
        "request": "both sorts of lines about the request of this id, in the order of time",
        "json": "print one JSON object a line, for scripts",
    },
)
def logs(
    console: Console,
    env: str = ENVIRONMENT,
    follow: bool = False,
    since: str = "",
    lines: str = "",
    process: str = "",
    release: str = "",
    nginx: bool = False,
    grep: str = "",
    request: str = "",
    json: bool = False,
) -> None:
    """Show what the live release writes to its journal: invoke logs --follow

    Nginx's lines of the site: invoke logs --nginx --since '10 min ago' --grep ' 500 '
    Each ends with the id that Nginx gave the request; all about one: invoke logs --request ID
    """
    asked: dict[str, str | bool] = {"since": since, "lines": lines, "process": process}
    asked |= {"release": release, "nginx": nginx, "grep": grep, "request": request}
    asked["follow"] = follow

    def show(line: dict[str, str]) -> None:
        if json:
            print(documents.dumps(line), flush=True)
        else:
            console.out.print(styled(line), soft_wrap=True)

    try:
        questions.logs(Request(ROOT, read_target(ROOT, env), "invoke logs"), console, asked, show)
    except BrokenPipeError:
        # Whoever read it (head, less) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def styled(line: dict[str, str]) -> Text:
    """A line for people: time in UTC, source, and what was written."""
    at = f"{datetime.fromisoformat(line['at']):%Y-%m-%d %H:%M:%S}"
    text = CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", line["text"])
    return Text.assemble((at, "dim"), " ", (line["source"], "cyan"), " ", text)
