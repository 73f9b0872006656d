"""Restore points: the database as it was before a release's migrations."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from deploy.host import audit, project
from deploy.host.context import Context
from deploy.host.errors import BackedOut, NeedsYou
from deploy.host.release import Release

SUFFIX = ".sql.gz"


@dataclass(frozen=True)
class RestorePoint:
    """A dump taken before ``release`` migrated. ``written`` counts rows written until then.

    None: the database does not count them.
    """

    release: str
    at: str
    written: int | None
    bytes: int


def take(ctx: Context, release: Release) -> RestorePoint:
    """Dump the database before the release migrates it.

    Raises:
        BackedOut: the dump failed; nothing was changed.
    """
    folder = ctx.layout.restore_points
    folder.mkdir(mode=0o700, exist_ok=True)
    before = project.ask(ctx, release, "database")
    draft = folder / f".{release.id}{SUFFIX}"
    with tempfile.TemporaryFile() as said:
        dump = subprocess.Popen(
            project.argv(ctx, release, "dump"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
        )
        assert dump.stdout
        try:
            with dump.stdout, gzip.open(draft, "wb", compresslevel=3) as file:
                shutil.copyfileobj(dump.stdout, file)
            code = dump.wait()
        except OSError as error:
            # Its output is closed, which ends pg_dump.
            draft.unlink(missing_ok=True)
            raise BackedOut(
                f"No restore point was written: {error}. Nothing was migrated"
            ) from None
        if code != 0:
            draft.unlink()
            raise BackedOut(
                "No restore point was taken: pg_dump failed. Nothing was migrated", _read(said)
            )
    point = RestorePoint(release.id, audit.now(), before["written"], draft.stat().st_size)
    os.sync()
    _facts(folder, release.id).write_text(json.dumps(asdict(point)))
    draft.rename(folder / f"{release.id}{SUFFIX}")
    return point


def find(ctx: Context, release: str) -> RestorePoint | None:
    """The restore point taken before that release migrated."""
    folder = ctx.layout.restore_points
    if not (folder / f"{release}{SUFFIX}").exists():
        return None
    values: Mapping[str, Any] = json.loads(_facts(folder, release).read_text())
    return RestorePoint(**values)


def written_since(ctx: Context, live: Release, point: RestorePoint) -> int | None:
    """Rows written since the restore point, which going back would lose; None: nobody knows."""
    now = project.ask(ctx, live, "database")["written"]
    return None if now is None or point.written is None else max(now - point.written, 0)


def restore(ctx: Context, release: Release, point: RestorePoint) -> None:
    """Put the database back, in one transaction.

    Raises:
        NeedsYou: it could not be restored, and is as it was.
    """
    path = ctx.layout.restore_points / f"{point.release}{SUFFIX}"
    with tempfile.TemporaryFile() as said:
        psql = subprocess.Popen(
            project.argv(ctx, release, "restore"),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        assert psql.stdin
        # A psql that gives up early says why in the lines below.
        with suppress(BrokenPipeError), gzip.open(path) as file, psql.stdin:
            shutil.copyfileobj(file, psql.stdin)
        if psql.wait() != 0:
            raise NeedsYou(
                f"The restore point of {point.release} could not be restored; the database is as "
                "it was before. Look: invoke status",
                _read(said),
            )


def prune(ctx: Context, kept: set[str]) -> None:
    """Remove the restore points of releases that are gone."""
    if ctx.layout.restore_points.is_dir():
        for path in ctx.layout.restore_points.iterdir():
            if path.name.removeprefix(".").split(".")[0] not in kept:
                path.unlink()


def _facts(folder: Path, release: str) -> Path:
    return folder / f"{release}.json"


def _read(said: IO[bytes]) -> list[str]:
    said.seek(0)
    return said.read().decode(errors="replace").splitlines()[-project.DETAIL_LINES :]
