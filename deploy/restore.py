"""Going back: the database of a site as it was at a moment, with visitors kept out meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from deploy import backups
from deploy.console import Console, size
from deploy.conversation import Request, conversation
from deploy.errors import BackedOut, NeedsYou, Refused
from deploy.host import moments
from deploy.session import Session

NEWEST = "newest"
# By this a run knows the maintenance of one that was killed, and ends it.
MESSAGE = "We are putting back the data of this site. Please come back a little later."


@dataclass(frozen=True)
class Way:
    """Where to, and what that loses. ``to`` is "newest" or a moment, ISO 8601 in UTC.

    ``facts`` is the droplet's own plan; ``since`` counts rows written since the moment, None when
    nobody knows; ``release`` is the one before whose migrations it is, or "".
    """

    to: str
    facts: dict[str, Any]
    since: int | None
    release: str

    def lines(self) -> list[str]:
        """The plan, for people."""
        facts = self.facts
        lost = span(facts["lost_seconds"])
        if self.to == NEWEST:
            where = "the newest state that was archived: the log goes there first"
            loss = "nothing that was committed"
        else:
            at = datetime.fromisoformat(self.to)
            why = f", before {self.release} migrated" if self.release else ""
            where = f"{at:%Y-%m-%d %H:%M:%S} UTC, {lost} ago{why}"
            rows = "nobody knows how many rows" if self.since is None else self._rows()
            loss = f"what was written in these {lost}: {rows}"
        lines = [
            f"back to    {where}",
            f"lost       {loss}",
            f"from       the backup {facts['backup']}, {size(facts['backup_bytes'])}, and the log",
            f"replaced   the database {facts['app']}, {size(facts['database_bytes'])}; it is kept "
            "until: invoke restore --forget",
            "meanwhile  visitors get the page of maintenance",
        ]
        kept = facts["replaced"]
        if kept:
            names = ", ".join(database["name"] for database in kept)
            lines.append(f"kept       {names}, of earlier restores")
        return lines

    def _rows(self) -> str:
        if self.release:
            return f"{self.since} rows"
        return f"at most {self.since} rows, which is what was written since that backup"


def plan(request: Request, console: Console, to: str, before_release: str) -> Way:
    """What going back would mean; it changes nothing.

    Args:
        to: a moment as people write it, without a zone in UTC; "" for the newest state.
        before_release: a release before whose migrations it shall be; "" for none.

    Raises:
        Refused: no such moment or release, no backup of then, or no room.
    """
    if to and before_release:
        raise Refused("Choose one moment: --to or --before-release")
    point = None
    if before_release:
        point = _point(request, console, before_release)
    moment = NEWEST
    if point or to:
        now = datetime.now(UTC)
        at = datetime.fromisoformat(point["at"]) if point else moments.parse(to, now)
        moment = at.astimezone(UTC).isoformat()
    with console.phase("plan"):
        facts = backups.ask(request.root, request.target, "plan", request.target.app, moment)
    return Way(moment, facts, _since(facts, point), point["release"] if point else "")


def _point(request: Request, console: Console, name: str) -> dict[str, Any]:
    with conversation(request, console, lock=False) as (session, _):
        release = session.call("release", {"name": name})
        point = session.call("restore point", {"release": release["id"]})
    if point is None:
        raise Refused(
            f"Release {release['id']} has no restore point: it migrated nothing. Name a moment: "
            "invoke restore --to TIME"
        )
    return dict(point)


def _since(facts: dict[str, Any], point: dict[str, Any] | None) -> int | None:
    """Rows written since: counted from the release's restore point, else from the backup."""
    now, then = facts["written"], facts["written_then"]
    # After a crash, or in a database that was restored, PostgreSQL counts anew.
    if then is None or then["count"] != now["count"]:
        return None
    before = point["written"] if point and point["written"] is not None else then["rows"]
    return max(int(now["rows"] - before), 0)


def carry_out(request: Request, console: Console, way: Way, migrate: bool) -> dict[str, Any]:
    """Go there.

    The long part is done beside the running database. Until both databases change names, in one
    transaction, everything is as it was; a run that is killed can simply be run again.

    Args:
        migrate: let the live release migrate a database that is older than it.

    Raises:
        Refused: somebody deploys.
        BackedOut: it could not be restored; the site is as it was, and serves.
        NeedsYou: it was restored, and the site is not well.
    """
    root, target = request.root, request.target
    with conversation(request, console, lock=True) as (session, facts):
        on = facts["maintenance"]
        mine = on is None or on["message"] == MESSAGE
        if on is None:
            session.call("maintenance on", {"message": MESSAGE, "allow": []})
        try:
            with console.phase("restore"):
                asked = {"app": target.app, "to": way.to, "migrate": migrate}
                done = backups.run(root, target, console, "restore", asked, failure=BackedOut)
            with console.phase("swap"):
                kept = _swap(request)
        except BaseException:
            _let_in(session, mine)
            raise
        session.call("restored", {"to": way.to, "kept": kept})
        if facts["current"]:
            _restart(session, kept)
        _let_in(session, mine)
        trouble = session.call("status")["trouble"] if mine and facts["current"] else None
    if trouble:
        raise NeedsYou(
            f"The database was restored, and the site is not well: {trouble}. The one before is "
            f"kept as {kept}. Look: invoke logs"
        )
    return {**done, "kept": kept, "lost_seconds": way.facts["lost_seconds"], "written": way.since}


def _swap(request: Request) -> str:
    """Put the restored database in its place; returns the name of the one that was there."""
    app = request.target.app
    try:
        done = backups.ask(request.root, request.target, "swap", app, failure=BackedOut)
    except Refused as error:
        raise NeedsYou(
            f"Whether the databases changed places is not known: {error.message}. Both are there. "
            "Look: invoke status; then run it again: invoke restore",
            error.detail,
        ) from None
    return str(done["kept"])


def _restart(session: Session, kept: str) -> None:
    """Its connections led to the database that was replaced."""
    try:
        session.call("restart", {"process": None})
    except NeedsYou as error:
        raise NeedsYou(
            f"The database was restored, the one before is kept as {kept}, and maintenance is "
            f"still on, because: {error.message}",
            error.detail,
        ) from None


def _let_in(session: Session, mine: bool) -> None:
    if mine:
        session.call("maintenance off")


def forget(request: Request) -> list[dict[str, Any]]:
    """Drop the databases that restores have replaced and kept; returns them."""
    done = backups.ask(request.root, request.target, "forget", request.target.app)
    found: list[dict[str, Any]] = done["dropped"]
    return found


def span(seconds: float) -> str:
    """How long, for people."""
    for count, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * count:
            return f"{seconds / count:.0f} {unit}"
    return f"{seconds:.0f} s"
