"""What changes with a release, in words: its commits, and what the droplet tells of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from deploy import sources
from deploy.host.changes import Changes, parse, short
from deploy.revision import Commits, between
from deploy.target import Target

# Of the titles beside lines.
WIDTH = 12


def commits(root: Path, target: Target, old: str, new: str) -> Commits | None:
    """The commits from one revision to another; None when they are not known here.

    Nothing is fetched: a release that this machine deployed is known.
    """
    place = sources.known(root, target.source, target.project)
    return between(*place, old, new) if place else None


def counted(found: Commits) -> list[str]:
    """How many they are, in a few words."""
    told = [f"{_many(len(found.new))}"] if found.new else []
    return told + ([f"without {_many(len(found.gone))}"] if found.gone else [])


def listed(found: Commits, most: int = 20) -> list[str]:
    """Their number, and each in a line, "+" before those that come and "-" before those that go."""
    told = [", ".join(counted(found))] if found.new or found.gone else []
    for mark, some in (("+", found.new), ("-", found.gone)):
        told += [f"{mark} {commit}" for commit in some[:most]]
        if len(some) > most:
            told.append(f"{mark} and {len(some) - most} more")
    return told


def in_short(release: Mapping[str, Any], found: Commits | None) -> str:
    """What a release of :func:`deploy.host.history.history` changed, in a line."""
    told = counted(found) if found else []
    if release["changes"]:
        told += short(parse(release["changes"]))
    return ", ".join(told)


def details(changes: Changes) -> list[list[str]]:
    """Everything that a release changed but its commits, by kind."""
    return [
        list(map(str, changes.packages)),
        [f"config {text}" for text in config_told(changes)],
        [f"migration {name}" for name in changes.migrations],
        [f"without migration {name}" for name in changes.unknown],
        [f"process {name}" for name in changes.processes],
    ]


def config_told(changes: Changes) -> Iterable[str]:
    """Each config var that differs, by name."""
    if changes.config is None:
        return ["other config vars; their names are not told. Run: ansible-playbook site.yml"]
    return map(str, changes.config)


def row(title: str, told: Iterable[str]) -> Iterator[str]:
    """Lines beside a title; nothing for none."""
    for number, line in enumerate(told):
        yield f"{title if number == 0 else '':<{WIDTH}}{line}"


def _many(count: int) -> str:
    return f"{count} commit{'s' if count > 1 else ''}"
