"""Choices, made from facts alone: which release to go back to, which ones to prune."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from deploy.host.audit import MIGRATED, REVERSED, STAGED, Past
from deploy.host.errors import Refused
from deploy.host.release import Release

NOTHING = Past()


def rollback_target(
    releases: Sequence[Release], pasts: Mapping[str, Past], current: str | None
) -> Release:
    """The newest release that was live and healthy, older than the current one.

    Args:
        releases: sealed releases, oldest first.
        pasts: what each went through, by id.
        current: the id of the live release.

    Raises:
        Refused: there is no such release.
    """
    if current is None:
        raise Refused("Nothing is live yet, so there is nothing to roll back. Run: invoke deploy")
    limit = next((r.sequence for r in releases if r.id == current), None)
    for release in reversed(releases):
        past = pasts.get(release.id, NOTHING)
        older = limit is None or release.sequence < limit
        if older and release.id != current and past.live and not past.bad:
            return release
    raise Refused(
        f"No release before {current} was live and healthy, so there is nothing to roll back to. "
        "Run: invoke releases"
    )


def named(releases: Sequence[Release], name: str) -> Release:
    """The release called ``name``: an id, or the beginning of just one.

    Raises:
        Refused: no such release, or more than one.
    """
    found = [r for r in releases if r.id == name] or [r for r in releases if r.id.startswith(name)]
    if len(found) != 1:
        known = ", ".join(r.id for r in releases) or "none"
        problem = f"No release {name}" if not found else f"{len(found)} releases start with {name}"
        raise Refused(f"{problem}; there are: {known}. Run: invoke releases")
    return found[0]


def named_target(
    releases: Sequence[Release], pasts: Mapping[str, Past], current: str | None, name: str
) -> Release:
    """The release called ``name`` (an id, or the beginning of just one).

    Raises:
        Refused: no such release, more than one, it is live already, or it never was healthy.
    """
    release = named(releases, name)
    if release.id == current:
        raise Refused(f"Release {release.id} is live already. Run: invoke releases")
    past = pasts.get(release.id, NOTHING)
    if not past.live:
        raise Refused(
            f"Release {release.id} never was live and healthy ({past.event}), so it is no release "
            "to roll back to. Run: invoke releases"
        )
    return release


def newest_migrated(
    releases: Sequence[Release], entries: Iterable[Mapping[str, Any]], current: str | None
) -> Release | None:
    """The release whose migrations the database may have: the live one, or a newer one that
    migrated and then failed."""
    migrated: set[str] = set()
    for entry in entries:
        if entry["event"] == MIGRATED:
            migrated.add(entry["release"])
        elif entry["event"] == REVERSED:
            migrated.discard(entry["release"])
    return max(
        (r for r in releases if r.id == current or r.id in migrated),
        key=lambda r: r.sequence,
        default=None,
    )


def judge_breaking(
    pending: Sequence[Mapping[str, Any]], current: str, allowed: bool, closed_since: str | None
) -> str | None:
    """Whether migrations may be applied that the release ``current`` cannot live with.

    Args:
        pending: the migrations: ``name``, and what each ``breaks``.
        allowed: somebody said --allow-breaking.
        closed_since: since when maintenance keeps visitors out; None: they are served.

    Returns:
        None, or why they go ahead although nobody said so.

    Raises:
        Refused: they would break what visitors see.
    """
    breaking = [migration for migration in pending if migration["breaks"]]
    if not breaking or allowed:
        return None
    names = ", ".join(migration["name"] for migration in breaking)
    if closed_since:
        return (
            f"{current} cannot live with {names}: applied all the same, because maintenance has "
            f"been on since {closed_since[:19]} UTC and visitors are kept out"
        )
    findings = [f"{m['name']}: {message}" for m in breaking for message in m["breaks"]]
    raise Refused(
        f"{len(breaking)} migrations would break {current}, which serves while they run and after "
        "a rollback. Split them (add first, remove with a later release), or keep visitors out "
        "meanwhile: invoke maintenance.on, or accept that: invoke deploy --allow-breaking",
        findings,
    )


def staged(pasts: Mapping[str, Past]) -> set[str]:
    """Releases that run beside the live one and wait for `invoke switch`."""
    return {release for release, past in pasts.items() if past.event == STAGED}


def prunable(
    releases: Sequence[Release], pasts: Mapping[str, Past], current: str | None, keep: int
) -> tuple[Release, ...]:
    """The releases to remove, oldest first.

    Kept are the current one, the one a rollback would go to, the newest ``keep`` that were live,
    and whatever is newer than the current one (it may still go live).
    """
    if current is None:
        return ()
    limit = next((r.sequence for r in releases if r.id == current), 0)
    lived = [r for r in releases if pasts.get(r.id, NOTHING).live]
    kept = {current} | {r.id for r in lived[-max(keep, 1) :]}
    with suppress(Refused):
        kept.add(rollback_target(releases, pasts, current).id)
    return tuple(r for r in releases if r.id not in kept and r.sequence < limit)
