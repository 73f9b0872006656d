"""Questions to the droplet, and orders that make no release."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from deploy import commands, multiplexed
from deploy.changes import commits
from deploy.console import Console
from deploy.conversation import Request, conversation
from deploy.errors import NeedsYou, Refused
from deploy.host.plan import named
from deploy.host.release import parse
from deploy.revision import Commits


def ask(request: Request, console: Console, question: str) -> Any:
    """A question to the droplet: releases, status, verify, ps or certs. Takes no lock."""
    with conversation(request, console, lock=False) as (session, _):
        return session.call(question)


@contextmanager
def repeatedly(request: Request, console: Console, question: str) -> Iterator[Callable[[], Any]]:
    """The same question again and again over one connection, as often as the function is called."""
    with conversation(request, console, lock=False) as (session, _):
        yield lambda: session.call(question)


def history(
    request: Request, console: Console, name: str
) -> list[tuple[dict[str, Any], Commits | None]]:
    """The releases, newest first, or the one called ``name``: with their changes and commits.

    Raises:
        Refused: no such release, or more than one.
    """
    found = ask(request, console, "history")
    if name:
        chosen = named([parse(release) for release in reversed(found)], name)
        found = [release for release in found if release["id"] == chosen.id]
    return [(release, _commits(request, release)) for release in found]


def restart(request: Request, console: Console, process: str) -> dict[str, Any]:
    """Restart the live release's processes of one type, or with "" of each."""
    with conversation(request, console, lock=True) as (session, _):
        done: dict[str, Any] = session.call("restart", {"process": process or None})
    return done


def scale(request: Request, console: Console) -> dict[str, Any]:
    """Run as many processes of the live release as the droplet is told by now."""
    with conversation(request, console, lock=True) as (session, _):
        done: dict[str, Any] = session.call("scale")
    return done


def logs(
    request: Request,
    console: Console,
    asked: Mapping[str, Any],
    show: Callable[[dict[str, str]], None],
) -> None:
    """Show lines of the site's logs; ``asked`` is what deploy.host.logs takes.

    Raises:
        Refused: a value that means nothing, no such release, or nothing is live.
    """

    def event(facts: dict[str, Any]) -> None:
        if "line" in facts:
            show(facts["line"])
        else:
            console.event(facts)

    with conversation(request, console, lock=False, on_event=event) as (session, _):
        session.call("logs", asked, ended=True)


def attach(
    request: Request, console: Console, release: str, words: Sequence[str], program: bool
) -> int:
    """Run a command in a release with this terminal; returns its exit code.

    Args:
        release: its id or the beginning of one, "" for the live one.
        program: the first word is a program, not a command of manage.py.

    Raises:
        Refused: no such release, or nothing is live.
    """
    with conversation(request, console, lock=False) as (session, _):
        chosen = session.call("release", {"name": release or None})
    argv = commands.manage(request.target, chosen["id"], words, program)
    return multiplexed.attach(request.target, argv)


def live(request: Request, console: Console) -> dict[str, Any]:
    """The live release, with ``latest_config``, the version of the config vars of now.

    Raises:
        Refused: nothing is live.
    """
    current = _current(request, console)
    if not current:
        raise Refused(f"Nothing is live on {request.target.name} yet. Run: invoke deploy")
    return current


def _current(request: Request, console: Console) -> dict[str, Any] | None:
    with conversation(request, console, lock=False) as (_, facts):
        current = facts["current"]
    return {**current, "latest_config": facts["config"]} if current else None


def settled_revision(request: Request, console: Console) -> str | None:
    """The commit that is live, with the config vars of now; None before the first deploy.

    Raises:
        Refused: newer config vars wait for a deploy.
    """
    current = _current(request, console)
    if current is None:
        return None
    if current["config"] != current["latest_config"]:
        raise Refused(
            f"{current['id']} does not run with the config vars that {request.target.name} has by "
            f"now. Go live with them first: invoke deploy --revision {current['revision'][:12]}"
        )
    return str(current["revision"])


def verify(request: Request, console: Console) -> None:
    """Compare the files of all releases with their digests.

    Raises:
        NeedsYou: some differ, with their paths.
    """
    differing = ask(request, console, "verify")["differing"]
    if differing:
        raise NeedsYou(
            f"{len(differing)} files on {request.target.name} are not what was pushed. Find out "
            "who wrote there, then have them sent again: invoke push",
            differing,
        )


def maintenance(request: Request, console: Console, switch: str, **options: Any) -> dict[str, Any]:
    """Keep visitors out ("on"), or let them in again ("off").

    Nothing is put right before that: visitors come first, and a release may be what is broken.
    """
    with conversation(request, console, lock=True, recover=False) as (session, _):
        done: dict[str, Any] = session.call(f"maintenance {switch}", options)
    return done


@contextmanager
def locked(request: Request, console: Console) -> Iterator[dict[str, Any]]:
    """Keep deploys away while the block runs; gives the droplet's facts."""
    with conversation(request, console, lock=True) as (_, facts):
        yield facts


def _commits(request: Request, release: dict[str, Any]) -> Commits | None:
    changes = release["changes"]
    if changes is None:
        return None
    return commits(request.root, request.target, changes["revision"], release["revision"])
