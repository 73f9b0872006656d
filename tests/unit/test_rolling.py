"""Which restore point a rollback would go back to."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from deploy.host import audit
from deploy.host.context import Context
from deploy.host.errors import Refused
from deploy.host.migrating import Difference
from deploy.host.restoring import RestorePoint
from deploy.host.rolling import _restore_point
from deploy.host.units import Units
from tests.unit.test_health import SITE, Silent
from tests.unit.test_release import a_release

TARGET, FIRST, SECOND = (a_release(number) for number in range(3))
ISBN, SHELF = "shop.0002_isbn", "shop.0003_shelf"


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    """A site with a restore point of each release that migrated."""
    site = replace(SITE, root=str(tmp_path))
    ctx = Context(site, Units(site), Silent(), who="ada", command="rollback")
    folder = ctx.layout.restore_points
    folder.mkdir(parents=True)
    for release in (FIRST, SECOND):
        point = RestorePoint(release.id, release.created_at, written=1, bytes=1)
        (folder / f"{release.id}.json").write_text(json.dumps(asdict(point)))
        (folder / f"{release.id}.sql.gz").touch()
    return ctx


def chosen(ctx: Context, *log: tuple[str, str, Sequence[str]]) -> str:
    for event, release, migrations in log:
        audit.append(ctx.layout, event, release, migrations=migrations)
    return _restore_point(ctx, TARGET, SECOND, Difference((ISBN, SHELF))).release


def test_it_is_the_one_before_the_first_of_them(ctx: Context) -> None:
    log = (audit.MIGRATED, FIRST.id, [ISBN]), (audit.MIGRATED, SECOND.id, [SHELF])
    assert chosen(ctx, *log) == FIRST.id


def test_what_was_reversed_and_applied_again_counts_from_then(ctx: Context) -> None:
    log = [
        (audit.MIGRATED, FIRST.id, [ISBN, SHELF]),
        (audit.REVERSED, FIRST.id, [ISBN, SHELF]),
        (audit.MIGRATED, SECOND.id, [ISBN, SHELF]),
    ]
    assert chosen(ctx, *log) == SECOND.id


def test_what_the_log_does_not_know_came_with_the_newest(ctx: Context) -> None:
    assert chosen(ctx) == SECOND.id
    assert chosen(ctx, (audit.MIGRATED, FIRST.id, [ISBN])) == FIRST.id


def test_without_one_it_says_so(ctx: Context) -> None:
    (ctx.layout.restore_points / f"{SECOND.id}.sql.gz").unlink()
    with pytest.raises(Refused, match="no restore point from before"):
        chosen(ctx)
