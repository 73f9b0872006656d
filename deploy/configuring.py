"""A change of the inventory goes live, or the inventory and the host are as they were before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy import facts_file, playbook, questions, scaling, stages
from deploy.console import Console
from deploy.conversation import Request
from deploy.errors import Refused, SlipwayError


def go_live(
    request: Request, environment: str, text: Callable[[Path], str], console: Console
) -> dict[str, Any]:
    """Write config vars into the environment's file, and deploy the live revision with them.

    Before the first deploy the droplet has them, and that deploy goes live with them.

    Args:
        text: what the file is to hold, made before anything is changed.

    Returns:
        What the deploy answers, and the file; "release" is None before the first deploy.

    Raises:
        Refused, BackedOut, NeedsYou: as a deploy does; the file has its text of before.
    """
    after = text(facts_file.file_of(request.root, environment))
    revision = questions.settled_revision(request, console)
    with _changed(request.root, environment, after, "config", console) as file:
        done: dict[str, Any] = {"changed": True, "release": None}
        if revision:
            done = stages.deploy(replace(request, revision=revision), console)
    return {**done, "file": file}


def scale(
    request: Request, environment: str, counts: dict[str, int], console: Console
) -> dict[str, Any]:
    """Write the numbers of processes into the environment's file, and let that many run.

    Returns:
        What runs then, and the file.

    Raises:
        Refused: nothing is live, its Procfile has no such process, or sets the number itself.
        NeedsYou: the processes did not come up; the file and the host are as they were before.
    """
    release = questions.live(request, console)
    scaling.check(counts, release["processes"])
    after = scaling.changed(facts_file.file_of(request.root, environment), counts)
    try:
        with _changed(request.root, environment, after, "scale", console) as file:
            done = questions.scale(request, console)
    except SlipwayError:
        # The host is told its numbers of before by now; what runs has to follow.
        with suppress(SlipwayError):
            questions.scale(request, console)
        raise
    return {**done, "file": file}


@contextmanager
def _changed(
    root: Path, environment: str, after: str, name: str, console: Console
) -> Iterator[str]:
    """The environment's file with another text, applied by a playbook; gives its name.

    When the block fails, file and host are put back.
    """
    path = facts_file.file_of(root, environment)
    before = path.read_text()
    facts_file.write(path, after)
    try:
        with console.phase(name):
            _apply(root, environment, name)
        yield facts_file.shown(path)
    except BaseException as error:
        facts_file.write(path, before)
        with console.phase(name):
            _apply(root, environment, name)
        if isinstance(error, SlipwayError):
            error.detail = (*error.detail, f"{facts_file.shown(path)} is as it was before.")
        raise


def _apply(root: Path, environment: str, name: str) -> None:
    problem = playbook.run(root, name, environment, {})
    if problem:
        raise Refused(f"The host did not take the change: {problem[0]}", problem[1:])
