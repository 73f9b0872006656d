"""Questions and orders to the deployed project, run as the app user by the manage helper."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from deploy.host import command
from deploy.host.context import Context
from deploy.host.errors import Refused
from deploy.host.in_django import words
from deploy.host.release import Release

ANSWER = "slipway:"
ASK_SECONDS = 120.0
DETAIL_LINES = 20


def ask(ctx: Context, release: Release, script: str, **facts: Any) -> dict[str, Any]:
    """The answer of a script of in_django/, run with the release's code and config vars.

    Raises:
        Refused: the project does not start, with the end of its output.
    """
    return told(release, run(ctx, release, script, seconds=ASK_SECONDS, **facts))


def told(release: Release, done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The answer of a script that has run. Raises as :func:`ask`."""
    found = answer(done)
    if found is None:
        raise Refused(
            f"Release {release.id} does not start with this droplet's config vars: {cause(done)}",
            lines(done)[-DETAIL_LINES:],
        )
    return found


def run(
    ctx: Context, release: Release, *scripts: str, seconds: float, **facts: Any
) -> subprocess.CompletedProcess[str]:
    """Run scripts of in_django/ to their end. The output is text."""
    return command.run(argv(ctx, release, *scripts, **facts), seconds)


def argv(ctx: Context, release: Release, *scripts: str, **facts: Any) -> tuple[str, ...]:
    """argv that runs scripts of in_django/, which find ``facts`` in SLIPWAY."""
    asked = {"judge": str(ctx.layout.release(release.id) / "judge"), **facts}
    return (*ctx.site.manage_helper, "--release", release.id, *words(*scripts, **asked))


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any] | None:
    """What the script answered, if it did."""
    for line in done.stdout.splitlines():
        if line.startswith(ANSWER):
            return dict(json.loads(line.removeprefix(ANSWER)))
    return None


def lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What a program said, without blank lines and answers."""
    said = (done.stdout + done.stderr).splitlines()
    return [line for line in said if line.strip() and not line.startswith(ANSWER)]


def cause(done: subprocess.CompletedProcess[str]) -> str:
    """Its last line: of a traceback, the one that names the error."""
    return next(reversed(lines(done)), f"exit status {done.returncode}")
