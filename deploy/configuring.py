"""A change of config vars goes live, or the inventory and the host are as they were before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy import config_vars, playbook, stages
from deploy.console import Console
from deploy.errors import Refused, SlipwayError
from deploy.stages import Request


def go_live(
    request: Request, environment: str, text: Callable[[Path], str], console: Console
) -> dict[str, Any]:
    """Write the environment's file, and deploy the live revision with what it says.

    Args:
        text: what the file is to hold, made before anything is changed.

    Returns:
        What the deploy answers, and the file.

    Raises:
        Refused, BackedOut, NeedsYou: as a deploy does; the file has its text of before.
    """
    path = config_vars.file_of(request.root, environment)
    after = text(path)
    revision = stages.settled_revision(request, console)
    before = path.read_text()
    config_vars.write(path, after)
    try:
        with console.phase("config"):
            _apply(request.root, environment)
        done = stages.deploy(replace(request, revision=revision), console)
    except BaseException as error:
        config_vars.write(path, before)
        with console.phase("config"):
            _apply(request.root, environment)
        if isinstance(error, SlipwayError):
            error.detail = (*error.detail, f"{path.relative_to(request.root)} is as it was before.")
        raise
    return {**done, "file": str(path.relative_to(request.root))}


def _apply(root: Path, environment: str) -> None:
    problem = playbook.run(root, "config", environment, {})
    if problem:
        raise Refused(f"The config vars were not written: {problem[0]}", problem[1:])
