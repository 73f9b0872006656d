"""A site's database that is copied into another environment: whether it may, and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.console import size
from deploy.errors import Refused
from deploy.streaming import Source
from deploy.target import Target

HOOK = "hooks/anonymise.sql"
# What is restored takes a little more than it took; rows that the hook writes anew, as much again.
ROOM, ROOM_ANONYMISED = 1.2, 2.4


@dataclass(frozen=True)
class Wish:
    """What somebody typed about a copy.

    ``replace`` is the environment with live data that may be replaced; ``anonymise`` a file of SQL
    in place of the project's own, None for that; with ``as_it_is`` nobody is made anonymous.
    """

    replace: str = ""
    anonymise: Path | None = None
    as_it_is: bool = False


@dataclass(frozen=True)
class Copy:
    """What is copied. ``survey`` is what the droplet says of its database, None for a file.

    ``live_data``: its rows are about real people.
    """

    source: Source
    live_data: bool
    survey: Mapping[str, Any] | None


@dataclass(frozen=True)
class Move:
    """A copy, and what it means for the environment that it goes to.

    ``there`` is what slipway-database shows there; ``anonymise`` the SQL, and ``by`` where it comes
    from; ``extensions`` only an administrator can make; ``migrations`` are those that the live
    release there would apply.
    """

    copy: Copy
    target: Target
    there: Mapping[str, Any]
    anonymise: str | None
    by: str
    extensions: tuple[str, ...] = ()
    migrations: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """For scripts."""
        survey = self.copy.survey
        kept = ("bytes", "tables", "rows", "major", "extensions")
        return {
            "from": {"name": self.copy.source.name, "live_data": self.copy.live_data}
            | ({key: survey[key] for key in kept} if survey else {}),
            "into": {
                "environment": self.target.environment,
                "live_data": self.target.live_data,
                **{key: self.there[key] for key in ("bytes", "tables", "major", "replaced")},
            },
            "anonymise": self.by or None,
            "migrations": list(self.migrations),
        }

    def lines(self) -> list[str]:
        """For people."""
        rows = sum(self.there["tables"].values())
        there = told(self.there["bytes"], len(self.there["tables"]), rows, self.there["major"])
        survey, source = self.copy.survey, self.copy.source.name
        if survey:
            source += ": " + told(*(survey[key] for key in ("bytes", "tables", "rows", "major")))
        lines = [
            f"from       {source}",
            f"replaces   {self.target.environment}: {there}; kept until: invoke db.forget",
            f"anonymise  {self.by or 'nothing: every row comes as it is'}",
        ]
        if self.migrations:
            lines.append(f"migrate    {', '.join(self.migrations)}")
        others = self.there["replaced"]
        if others:
            kept = sum(each["bytes"] for each in others)
            lines.append(f"kept       {len(others)} that were replaced before, {size(kept)}")
        return [*lines, "media      stays: uploads are not part of a database"]


def told(count: int, tables: int, rows: int, major: int) -> str:
    """A database in a clause."""
    return f"{size(count)}, {tables} tables, about {rows} rows, PostgreSQL {major}"


def check_wish(copy: Copy, target: Target, wish: Wish) -> None:
    """Whether what somebody typed is enough for what would be replaced.

    Raises:
        Refused: it is not.
    """
    name = target.environment
    if copy.source.name == name:
        raise Refused(f"{name} would be copied into itself. Name two environments")
    if wish.replace and wish.replace != name:
        raise Refused(f"--replace {wish.replace} is not {name}, which is what would be replaced")
    if target.live_data and not wish.replace:
        raise Refused(
            f"{name} has live data, which {copy.source.name} would replace. If that is what you "
            f"want, say so: --replace {name}"
        )


def check_file(target: Target, as_it_is: bool) -> None:
    """Whether a database may go into a file, where nobody makes it anonymous.

    Raises:
        Refused: its rows are about real people, and nobody said that this is meant.
    """
    if target.live_data and not as_it_is:
        raise Refused(
            f"{target.environment} has live data, and a file has every row as it is. If that is "
            "what you want, add --no-anonymise; else copy it into an environment: --env local"
        )


def judge(
    copy: Copy,
    target: Target,
    there: Mapping[str, Any],
    current: Mapping[str, Any] | None,
    wish: Wish,
) -> Move:
    """Whether the copy fits there, and what has to be done with it.

    Args:
        there: what slipway-database shows.
        current: the release that is live there, or None.

    Raises:
        Refused: it does not fit.
    """
    sql, by = _anonymise(copy, target, wish)
    survey, name = copy.survey, target.environment
    if survey is None:
        return Move(copy, target, there, sql, by)
    if survey["major"] > there["major"]:
        raise Refused(
            f"{copy.source.name} has PostgreSQL {survey['major']} and {name} has "
            f"{there['major']}, which cannot read what a newer one wrote. Run: invoke db.upgrade "
            f"--env {name}"
        )
    missing = [each for each in survey["extensions"] if each not in there["extensions"]]
    if missing:
        raise Refused(
            f"{name} lacks the extensions {', '.join(missing)}. Add their Debian packages to "
            "site_packages and run: ansible-playbook site.yml"
        )
    room = survey["bytes"] * (ROOM if sql is None else ROOM_ANONYMISED)
    if room > there["free"]:
        raise Refused(
            f"{name} has {size(there['free'])} of free disk, and this needs {size(room)} beside "
            "what is there. Make room: invoke db.forget"
        )
    extensions = tuple(each for each in survey["extensions"] if not there["extensions"][each])
    migrations = _migrations(copy, survey["release"], name, current) if current else ()
    return Move(copy, target, there, sql, by, extensions, migrations)


def check_kind(target: Target) -> None:
    if target.database != "postgresql":
        raise Refused(
            f"The database of {target.environment} is a file, {target.root}/data/db.sqlite3, and "
            "not PostgreSQL's. The runbook tells how to copy it: docs/runbook.md, Copy a database"
        )


def _anonymise(copy: Copy, target: Target, wish: Wish) -> tuple[str | None, str]:
    """The SQL, if any, and where it comes from."""
    if wish.anonymise and wish.as_it_is:
        raise Refused("Choose one: --anonymise FILE or --no-anonymise")
    if wish.anonymise:
        try:
            return wish.anonymise.read_text(), str(wish.anonymise)
        except (OSError, ValueError) as error:
            raise Refused(f"{wish.anonymise} cannot be read: {error}") from None
    if wish.as_it_is or not copy.live_data or target.live_data:
        return None, ""
    if copy.survey is None:
        raise Refused(
            f"Nobody knows whose rows {copy.source.name} has. Name SQL that makes them anonymous, "
            "--anonymise FILE, or let them come as they are: --no-anonymise"
        )
    sql, release = copy.survey["anonymise"], copy.survey["release"]["id"]
    if sql is None:
        raise Refused(
            f"{copy.source.name} has live data, and its release {release} no {HOOK} that makes it "
            f"anonymous. Write one and deploy it, name a file, --anonymise FILE, or let every row "
            f"come to {target.environment} as it is: --no-anonymise"
        )
    return str(sql), f"{HOOK} of {release}"


def _migrations(
    copy: Copy, theirs: Mapping[str, Any], name: str, current: Mapping[str, Any]
) -> tuple[str, ...]:
    """What the live release there would have to apply to the copy."""
    unknown = sorted({*theirs["migrations"]} - {*current["migrations"]})
    if unknown:
        raise Refused(
            f"{name} runs an older release, {current['id']}, which does not know {unknown[0]}. "
            f"Run: invoke deploy --env {name} --revision {theirs['revision'][:12]}"
        )
    return tuple(sorted({*current["migrations"]} - {*theirs["migrations"]}))


def chosen(target: Target, there: Mapping[str, Any], name: str) -> str:
    """The kept database called ``name``, by default the one that was replaced last.

    Raises:
        Refused: there is none.
    """
    names = [each["name"] for each in there["replaced"]]
    if not names or (name and name not in names):
        known = ", ".join(names) or "none"
        raise Refused(f"{target.environment} keeps no database {name or 'beside its own'}: {known}")
    return name or names[-1]
