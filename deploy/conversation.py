"""What somebody typed, and the conversation with the droplet that it starts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.console import Console
from deploy.errors import Refused
from deploy.multiplexed import connected
from deploy.planfile import Plan
from deploy.session import Session, Start, who
from deploy.sources import Source
from deploy.target import Target

# More would put releases in the wrong order for people, and break TLS (RELIABILITY: local clock).
CLOCK_SECONDS = 60


@dataclass(frozen=True)
class Request:
    """What somebody typed: a command, for a target, from a repository.

    ``revision`` None is HEAD of a clean work tree; ``stop_before`` names a phase, "" none; a
    deploy is held to the ``plan``, if there is one. ``source`` None is the one that the target
    names; ``root`` keeps what was built; ``ahead`` lets the build begin before the lock is held.
    """

    root: Path
    target: Target
    command: str
    revision: str | None = None
    wait: bool = False
    stop_before: str = ""
    allow_breaking: bool = False
    plan: Plan | None = None
    source: Source | None = None
    who: str = field(default_factory=who)
    connect: Callable[[Target], AbstractContextManager[Start]] = connected
    ahead: bool = True


@contextmanager
def conversation(
    request: Request,
    console: Console,
    lock: bool,
    recover: bool = True,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    then: Iterable[str] = (),
) -> Iterator[tuple[Session, dict[str, Any]]]:
    """The conversation with the droplet, and its facts; opening it is a phase of its own.

    Args:
        lock, recover, then: as :meth:`Session.open` has them.
    """
    with ExitStack() as stack:
        with console.phase("connect"):
            start = stack.enter_context(request.connect(request.target))
            told = on_event or console.event
            session = stack.enter_context(Session(request.target, start, request.who, told))
            facts = session.open(request.command, lock, request.wait, recover, then)
            _check_clock(facts, request.target)
        yield session, facts


def clock_problem(facts: Mapping[str, Any], target: Target) -> str | None:
    """Why the droplet's clock, or this machine's, cannot be right; None when they agree."""
    apart = abs(facts["now"] - time.time())
    if apart <= CLOCK_SECONDS:
        return None
    return (
        f"The clocks of this machine and of {target.name} are {apart:.0f} s apart. "
        "Set the wrong one right: timedatectl"
    )


def _check_clock(facts: dict[str, Any], target: Target) -> None:
    problem = clock_problem(facts, target)
    if problem:
        raise Refused(problem)


def tell_of_maintenance(facts: dict[str, Any], console: Console) -> None:
    """Whoever deploys should know that visitors do not see it yet."""
    found = facts["maintenance"]
    if found:
        console.note(
            f"maintenance has been on since {found['since'][:19]} UTC, by {found['who']}: visitors "
            "are kept out until somebody runs invoke maintenance.off"
        )
