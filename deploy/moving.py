"""A site's database, copied from one environment into another as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy import commands, streaming
from deploy.console import Console, size
from deploy.conversation import Request, conversation
from deploy.copying import Copy, Move, Wish, check_kind, check_wish, judge
from deploy.errors import BackedOut, NeedsYou, Refused, SlipwayError
from deploy.session import Session
from deploy.streaming import Source, Trouble
from deploy.target import Target

# By this a run knows the maintenance of one that was killed, and ends it.
MESSAGE = "We are exchanging the data of this site. Please come back in a minute."
INCOMING = "_incoming"


def of_environment(request: Request, console: Console) -> Copy:
    """The database of the request's target, read by its deploy user.

    Raises:
        Refused: it is a file, or nothing is live there.
    """
    target = request.target
    check_kind(target)
    with conversation(request, console, lock=False) as (session, _):
        survey = session.call("survey")
    if survey["vendor"] != "postgresql":
        raise Refused(f"The database of {target.environment} is {survey['vendor']}: see db.pull")
    argv = commands.ssh(target, commands.archive(target, survey["release"]["id"]))
    return Copy(Source(target.environment, argv), target.live_data, survey)


def of_file(path: Path) -> Copy:
    """A file that pg_dump wrote in its custom format. Nobody knows whose rows it has.

    Raises:
        Refused: it is no such file.
    """
    try:
        with path.open("rb") as file:
            begins = file.read(5)
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from None
    if begins != b"PGDMP":
        raise Refused(f"{path} is no archive of pg_dump. Make one: pg_dump --format=custom")
    return Copy(Source(str(path), path=path), live_data=True, survey=None)


def plan(request: Request, console: Console, copy: Copy, wish: Wish) -> Move:
    """What it would mean to put a copy in the place of the target's database. It changes nothing.

    Raises:
        Refused: it must not be, or cannot be.
    """
    target = request.target
    check_kind(target)
    check_wish(copy, target, wish)
    with conversation(request, console, lock=False) as (_, facts):
        current = facts["current"]
    try:
        there = streaming.ask(target, "show")
    except Trouble as trouble:
        raise Refused(f"{target.name}: {trouble.args[0]}", trouble.args[1:]) from None
    return judge(copy, target, there, current, wish)


def carry_out(request: Request, console: Console, move: Move) -> dict[str, Any]:
    """Make the copy beside the target's database, and exchange the two.

    The site serves meanwhile, but for the moment of the exchange. A run that is killed before that
    has changed nothing, and can simply be run again.

    Raises:
        Refused: somebody deploys.
        BackedOut: it did not work, and the site has the database that it had.
        NeedsYou: it did not work, and neither did the way back.
    """
    target, source = move.target, move.copy.source
    known = {"environment": target.environment, "app": target.app, "domain": target.domain}
    header = {
        "extensions": move.extensions,
        # Nobody knows the extensions of a file.
        "comments": bool(move.copy.survey and not move.extensions),
        "anonymise": move.anonymise,
        "variables": known,
    }
    with conversation(request, console, lock=True) as (session, facts):
        made = _made(console, target, source, header)
        new = target.app + INCOMING
        done = _exchange(console, session, facts, target, new, source.name)
    return {**made, **done}


def _made(
    console: Console, target: Target, source: Source, header: Mapping[str, Any]
) -> dict[str, Any]:
    with console.phase("copy") as copying:

        def sent(count: int) -> None:
            copying.bytes += count
            console.progress(f"copy {size(copying.bytes)}")

        try:
            made = streaming.receive(target, source, header, sent, console.progress)
        except Trouble as trouble:
            raise BackedOut(
                f"{target.name} cannot make a database of it: {trouble.args[0]}. It keeps the one "
                "that it has",
                trouble.args[1:],
            ) from None
    return {**made, "sent": copying.bytes}


def _exchange(
    console: Console,
    session: Session,
    facts: Mapping[str, Any],
    target: Target,
    new: str,
    came_from: str,
) -> dict[str, Any]:
    """Put another database in the place of the site's own, with visitors kept out."""
    on = facts["maintenance"]
    closing = on is None and facts["current"]
    if closing:
        session.call("maintenance on", {"message": MESSAGE, "allow": []})
    try:
        with console.phase("exchange"):
            kept = _swap(target, new)
        try:
            settled = session.call("settle", {"came_from": came_from, "kept": kept})
        except SlipwayError as error:
            _take_back(session, target, kept, new, error)
            raise
    finally:
        if closing or (on and on["message"] == MESSAGE):
            session.call("maintenance off")
    return {"kept": kept, "applied": settled["applied"]}


def _swap(target: Target, new: str) -> str:
    try:
        return str(streaming.ask(target, "swap", new)["kept"])
    except Trouble as trouble:
        raise BackedOut(
            f"The databases could not change places: {trouble.args[0]}. {target.environment} has "
            "the one that it had",
            trouble.args[1:],
        ) from None


def _take_back(session: Session, target: Target, kept: str, new: str, error: SlipwayError) -> None:
    """The release cannot live with the new one: the one before comes back.

    Raises:
        BackedOut: it did.
        NeedsYou: it did not.
    """
    try:
        refused = _swap(target, kept)
        session.call("settle", {"came_from": kept, "kept": refused})
        if new.endswith(INCOMING):
            streaming.ask(target, "forget", refused)
    except (SlipwayError, Trouble) as worse:
        raise NeedsYou(
            f"The live release cannot live with it ({error.message}), and the database before, "
            f"{kept}, did not come back: {worse.args[0]}. Run: invoke db.back {kept}",
            error.detail,
        ) from None
    raise BackedOut(
        f"The live release cannot live with it: {error.message}. {target.environment} has the "
        "database that it had",
        error.detail,
    ) from None


def save(console: Console, copy: Copy, path: Path) -> int:
    """Keep a copy in a file, as it is; returns its bytes.

    Raises:
        Refused: the file cannot be written.
        BackedOut: the copy broke off; there is no file.
    """
    with console.phase("copy") as copying:

        def sent(count: int) -> None:
            copying.bytes += count
            console.progress(f"copy {size(copying.bytes)}")

        streaming.save(copy.source, path, sent)
    return copying.bytes


def shown(target: Target) -> dict[str, Any]:
    """The site's database, and those that are kept beside it.

    Raises:
        Refused: it has none in PostgreSQL, or nobody answers.
    """
    check_kind(target)
    try:
        return streaming.ask(target, "show")
    except Trouble as trouble:
        raise Refused(f"{target.name}: {trouble.args[0]}", trouble.args[1:]) from None


def back(request: Request, console: Console, name: str) -> dict[str, Any]:
    """Put a kept database in the place of the site's own, which is kept in its turn."""
    with conversation(request, console, lock=True) as (session, facts):
        return _exchange(console, session, facts, request.target, name, name)


def forget(target: Target, names: Sequence[str]) -> list[dict[str, Any]]:
    """Drop databases that are kept, or were left half made; returns them."""
    try:
        dropped: list[dict[str, Any]] = streaming.ask(target, "forget", *names)["dropped"]
    except Trouble as trouble:
        raise NeedsYou(f"{target.name}: {trouble.args[0]}", trouble.args[1:]) from None
    return dropped
