"""Migrate: the database learns what the release needs, while the old release serves."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.host import audit, maintenance, plan, project, restoring
from deploy.host.context import Context
from deploy.host.errors import BackedOut, NeedsYou, Refused, SlipwayError
from deploy.host.events import Phase
from deploy.host.project import DETAIL_LINES, cause, lines
from deploy.host.release import Release

MIGRATE_SECONDS = 3600.0
LOCK_TRIES = 3
LOCK_PAUSE_SECONDS = 1.0
LOCK_TIMED_OUT = "canceling statement due to lock timeout"


def migrate(
    ctx: Context, release: Release, current: Release | None, allow_breaking: bool, phase: Phase
) -> list[str]:
    """Apply the release's migrations; returns those applied, as ``app.name``.

    Without a difference in migrations or config vars to the current release nothing is asked of
    the database: the gate's readiness check still would see a migration that is missing.

    Args:
        allow_breaking: apply also what the release that serves cannot live with; while maintenance
            is on this needs no leave.

    Raises:
        Refused: DEBUG is on, no allowed hosts, or a migration breaks the release that serves.
        BackedOut: a migration failed and nothing of it is left.
        NeedsYou: migrations failed after others had been applied.
    """
    if current and (current.migrations, current.config) == (release.migrations, release.config):
        phase.note("no new ones")
        return []
    found, filled = (look(ctx, release), None) if current else _fill(ctx, release)
    pending = found["pending"]
    if not pending:
        phase.note("no new ones")
        return []
    names = [migration["name"] for migration in pending]
    if current:
        closed_since = maintenance.closed_since(ctx)
        why = plan.judge_breaking(pending, current.id, allow_breaking, closed_since)
        if why:
            phase.note(why)
    if found["applied"]:
        _show(pending, phase)
        point = restoring.take(ctx, release)
        phase.note(f"restore point of {point.bytes} bytes taken before {release.id} migrates")
    else:
        phase.note(f"{len(names)} migrations into an empty database")
    done = filled or _run(ctx, release, phase)
    if done.returncode != 0:
        raise _failure(ctx, release, names, done)
    audit.append(ctx.layout, audit.MIGRATED, release.id, who=ctx.who, migrations=names)
    return names


def catch_up(ctx: Context, release: Release, phase: Phase) -> list[str]:
    """Apply what a database that was exchanged lacks of the live release's migrations.

    Raises:
        BackedOut: one failed.
    """
    names = [migration["name"] for migration in look(ctx, release)["pending"]]
    if names:
        phase.note(", ".join(names))
        done = _run(ctx, release, phase)
        if done.returncode != 0:
            raise BackedOut(f"{release.id} cannot migrate it: {cause(done)}", lines(done))
    return names


def look(ctx: Context, release: Release, whole: bool = False) -> dict[str, Any]:
    """``pending``, the migrations to apply, and the names of those that are ``applied``.

    Args:
        whole: tell the SQL of migrations into an empty database too, which takes a while.

    Raises:
        Refused: the release does not start, DEBUG is on, or there are no allowed hosts.
    """
    found = project.ask(ctx, release, "plan", whole=whole)
    _check_settings(found)
    return found


@dataclass(frozen=True)
class Difference:
    """Migrations in the database that a release to go back to does not know.

    ``breaks`` says, per migration, what the older code could not live with; ``reversible`` is
    whether all of them can be taken back; ``losses`` what that would delete.
    """

    migrations: tuple[str, ...] = ()
    breaks: Mapping[str, Sequence[str]] | None = None
    reversible: bool = True
    losses: tuple[str, ...] = ()

    @property
    def additive(self) -> bool:
        """Whether the older code can live with them as they are."""
        return not self.breaks


def difference(ctx: Context, newer: Release, older: Release) -> Difference:
    """What stands between the database, as ``newer`` migrated it, and ``older``."""
    unknown = unknown_to(older, newer)
    if not unknown:
        return Difference()
    found = project.ask(ctx, newer, "reverse", migrations=unknown)["migrations"]
    return Difference(
        migrations=tuple(unknown),
        breaks={m["name"]: m["breaks"] for m in found if m["breaks"]},
        reversible=all(m["reversible"] for m in found),
        losses=tuple(loss for m in found for loss in m["losses"]),
    )


def unknown_to(older: Release, newer: Release) -> list[str]:
    """Migrations that the newer release brought and the older one does not know."""
    return sorted(set(newer.migrations) - set(older.migrations))


def take_back(ctx: Context, newer: Release, migrations: Sequence[str], phase: Phase) -> None:
    """Reverse migrations, with the code that knows how.

    Raises:
        BackedOut: one could not be reversed; what was reversed before it was applied again.
    """
    done = _run(ctx, newer, phase, reverse=list(migrations))
    if done.returncode != 0:
        _run(ctx, newer, phase)
        raise BackedOut(f"A migration could not be reversed: {cause(done)}", lines(done))
    told = ", ".join(migrations)
    audit.append(ctx.layout, audit.REVERSED, newer.id, who=ctx.who, migrations=list(migrations))
    phase.note(f"reversed {told}")


def apply_again(ctx: Context, newer: Release, phase: Phase) -> None:
    """Undo :func:`take_back`: the newer release is served again and needs its schema."""
    done = _run(ctx, newer, phase)
    if done.returncode != 0:
        raise NeedsYou(
            f"Migrations of {newer.id} were reversed and could not be applied again: "
            f"{cause(done)}. Run: invoke deploy",
            lines(done),
        )


def _check_settings(found: dict[str, Any]) -> None:
    if found["debug"]:
        raise Refused(
            "DEBUG is on with this droplet's config vars, which shows the site's insides to "
            "visitors. Take DJANGO_DEBUG out of app_config_vars and run: ansible-playbook site.yml"
        )
    if not found["allowed_hosts"] or "*" in found["allowed_hosts"]:
        raise Refused(
            f"ALLOWED_HOSTS is {found['allowed_hosts']}: name the site's domains in the "
            "inventory and run: ansible-playbook site.yml"
        )


def _show(pending: Sequence[Mapping[str, Any]], phase: Phase) -> None:
    for migration in pending:
        phase.note(migration["name"])
        for line in migration["sql"].splitlines():
            if line.strip() and not line.startswith("--"):
                phase.note(f"    {line}")


def _fill(
    ctx: Context, release: Release
) -> tuple[dict[str, Any], subprocess.CompletedProcess[str] | None]:
    """Look, and migrate where the database is empty: to start the project twice takes longer.

    Returns what :func:`look` does, and how the migrations ended; None if they are still to be run.
    """
    ctx.check()
    lock = {"lock_timeout": ctx.site.lock_timeout_seconds}
    done = project.run(ctx, release, "plan", "migrate", seconds=MIGRATE_SECONDS, **lock)
    found = project.told(release, done)
    _check_settings(found)
    return found, None if found["applied"] or LOCK_TIMED_OUT in done.stderr else done


def _run(
    ctx: Context, release: Release, phase: Phase, **facts: Any
) -> subprocess.CompletedProcess[str]:
    """Migrate, trying again when a lock is not to be had."""
    seconds = ctx.site.lock_timeout_seconds
    for attempt in range(1, LOCK_TRIES + 1):
        ctx.check()
        told = {"seconds": MIGRATE_SECONDS, "lock_timeout": seconds, **facts}
        done = project.run(ctx, release, "migrate", **told)
        if done.returncode == 0 or LOCK_TIMED_OUT not in done.stderr:
            break
        blockers = (project.answer(done) or {}).get("blockers", [])
        phase.note(f"a lock was not to be had within {seconds:g} s; held by {'; '.join(blockers)}")
        if attempt < LOCK_TRIES:
            ctx.pause(LOCK_PAUSE_SECONDS)
    return done


def _failure(
    ctx: Context, release: Release, pending: list[str], done: subprocess.CompletedProcess[str]
) -> SlipwayError:
    try:
        left = {migration["name"] for migration in project.ask(ctx, release, "plan")["pending"]}
    except Refused as error:
        audit.append(ctx.layout, audit.FAILED, release.id, who=ctx.who, cause=cause(done))
        return NeedsYou(
            f"Migrating failed: {cause(done)}. What is applied cannot be told, as the database "
            "does not answer; the old release stays current. Look: invoke status",
            error.detail,
        )
    applied = [name for name in pending if name not in left]
    failed = next((name for name in pending if name in left), "after the last one")
    blockers = (project.answer(done) or {}).get("blockers", [])
    why = f"{cause(done)}, held by {'; '.join(blockers)}" if blockers else cause(done)
    detail = lines(done)[-DETAIL_LINES:]
    audit.append(ctx.layout, audit.FAILED, release.id, who=ctx.who, cause=why, applied=applied)
    if applied:
        return NeedsYou(
            f"Migration {failed} failed: {why}. Applied before it, and still so: "
            f"{', '.join(applied)}. The old release serves. Mend the migration and run: "
            "invoke deploy",
            detail,
        )
    return BackedOut(
        f"Migration {failed} failed: {why}. It is not recorded as applied (if it is not atomic, "
        "parts of it may be), and the old release serves. Mend it and run: invoke deploy",
        detail,
    )
