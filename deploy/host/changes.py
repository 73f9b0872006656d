"""What a release changes against another one: compared here, from what both are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

# Beside a release, and in its artifact.
SBOM = "sbom.json"
ADDED, REMOVED, CHANGED = "added", "removed", "changed"
# A line about a release has room for so many names of a kind; of more it has the number.
NAMED = 2


@dataclass(frozen=True)
class Made:
    """What of a release is compared: ``packages`` are versions by name, ``processes`` commands."""

    packages: Mapping[str, str]
    migrations: tuple[str, ...]
    processes: Mapping[str, str]


@dataclass(frozen=True)
class Package:
    """A locked package; a version is "" on the side that does not have it."""

    name: str
    before: str
    after: str

    def __str__(self) -> str:
        if self.before and self.after:
            return f"{self.name} {self.before} -> {self.after}"
        return f"{self.name} {self.before or self.after} {REMOVED if self.before else ADDED}"


@dataclass(frozen=True)
class ConfigVar:
    """A config var that was added, removed or changed. Its value is nobody's business."""

    name: str
    kind: str

    def __str__(self) -> str:
        return f"{self.name} {self.kind}"


@dataclass(frozen=True)
class Changes:
    """``since`` is the older release's id, ``revision`` its commit.

    ``config`` is None where the config vars differ and their names cannot be told. ``migrations``
    are those that the older release does not know, ``unknown`` those that only it knows.
    """

    since: str
    revision: str
    packages: tuple[Package, ...] = ()
    config: tuple[ConfigVar, ...] | None = ()
    migrations: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    processes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def parse(values: Mapping[str, Any]) -> Changes:
    """The other way round of :meth:`Changes.to_json`."""
    config = values["config"]
    return Changes(
        since=values["since"],
        revision=values["revision"],
        packages=tuple(Package(**package) for package in values["packages"]),
        config=None if config is None else tuple(ConfigVar(**var) for var in config),
        migrations=tuple(values["migrations"]),
        unknown=tuple(values["unknown"]),
        processes=tuple(values["processes"]),
    )


def packages_of(sbom: Mapping[str, Any]) -> dict[str, str]:
    """Versions by name, of a document as deploy/sbom.py writes it."""
    return {part["name"].lower().replace("_", "-"): part["version"] for part in sbom["components"]}


def compare(
    since: str, revision: str, old: Made, new: Made, config: tuple[ConfigVar, ...] | None
) -> Changes:
    """What ``new`` changes against ``old``, which is the release ``since``."""
    return Changes(
        since=since,
        revision=revision,
        packages=tuple(
            Package(name, old.packages.get(name, ""), new.packages.get(name, ""))
            for name in _differing(old.packages, new.packages)
        ),
        config=config,
        migrations=tuple(sorted({*new.migrations} - {*old.migrations})),
        unknown=tuple(sorted({*old.migrations} - {*new.migrations})),
        processes=tuple(_differing(old.processes, new.processes)),
    )


def short(changes: Changes) -> list[str]:
    """Everything but the commits, in a few words each."""
    told = _some([str(package) for package in changes.packages], "packages")
    told += _counted(changes.migrations, "migration")
    told += [f"without {text}" for text in _counted(changes.unknown, "migration")]
    if changes.config is None:
        told.append("config vars")
    elif changes.config:
        names = [var.name for var in changes.config]
        told.append(f"config {', '.join(_some(names, 'vars'))}")
    return told + [f"process {name}" for name in changes.processes]


def _differing(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))


def _some(names: list[str], what: str) -> list[str]:
    return names if len(names) <= NAMED else [f"{len(names)} {what}"]


def _counted(names: Iterable[str], what: str) -> list[str]:
    count = len(list(names))
    return [f"{count} {what}{'s' if count > 1 else ''}"] if count else []
