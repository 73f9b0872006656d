"""What an interrupted run left behind is put right before the next one."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.host import audit
from deploy.host.context import Context
from deploy.host.pushing import seal
from deploy.host.recovery import recover
from deploy.host.release import current_id
from deploy.host.switching import point
from deploy.host.units import Units, UnitState
from tests.unit.test_health import (
    RELEASE,
    SITE,
    UP,
    Answer,
    instance,
    says,
    site,
)
from tests.unit.test_release import a_release

# RELEASE was being switched to, away from BEFORE.
BEFORE = a_release(0)
DOWN = UnitState("inactive", "dead", restarts=0, main_pid=0, result="success")


class Fleet(Units):
    """Instances that start when they are told to, but for the broken ones."""

    def __init__(self, *running: str, broken: tuple[str, ...] = ()) -> None:
        super().__init__(SITE)
        self.running = set(running)
        self.broken = broken
        self.leaving: set[str] = set()
        self.with_processes: list[str] = []

    def state(self, release: str) -> UnitState:
        return UP if release in self.running else DOWN

    def loaded(self) -> dict[str, str]:
        leaving = dict.fromkeys(self.leaving, "deactivating")
        return {**dict.fromkeys(self.running, "active"), **leaving}

    def start(self, release: str, seconds: float) -> str | None:
        if release in self.broken:
            return "its code does not import"
        self.running.add(release)
        return None

    def stop(self, release: str, seconds: float = 0) -> None:
        self.running.discard(release)

    def retire(self, release: str) -> None:
        self.stop(release)

    def run_processes(self, release: str) -> str | None:
        self.with_processes.append(release)
        return None

    def forget(self, release: str) -> None:
        self.running.discard(release)


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder whose path is short enough for a unix socket."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sync", lambda: None)


@contextmanager
def interrupted(
    room: Path,
    fleet: Fleet,
    pages: dict[str, Answer],
    *events: str,
    previous: str | None = BEFORE.id,
) -> Iterator[Context]:
    """A droplet where RELEASE is current and went through ``events``."""
    with instance(room, site(pages)) as (ctx, _):
        ctx = replace(ctx, units=fleet, site=replace(ctx.site, processes=("worker",)))
        layout = ctx.layout
        layout.release(BEFORE.id).mkdir()
        for folder in (layout.venvs, layout.objects):
            folder.mkdir()
        for release in (BEFORE, RELEASE):
            seal(layout.release(release.id), release)
        for event in (audit.PUSHED, audit.SWITCHED, audit.LIVE):
            audit.append(layout, event, BEFORE.id)
        for event in events:
            audit.append(layout, event, RELEASE.id, previous=previous)
        point(layout, RELEASE.id)
        yield ctx


def last_event(ctx: Context) -> str:
    return audit.fold(audit.read(ctx.layout))[RELEASE.id].event


def test_a_release_that_was_never_proved_and_is_healthy_stays(room: Path) -> None:
    fleet = Fleet(BEFORE.id, RELEASE.id)
    with interrupted(room, fleet, {}, audit.PUSHED, audit.SWITCHED) as ctx:
        recover(ctx)
        assert (current_id(ctx.layout), last_event(ctx)) == (RELEASE.id, audit.LIVE)
    assert fleet.running == {RELEASE.id}
    assert fleet.with_processes == [RELEASE.id]


@pytest.mark.parametrize("before_runs", [True, False])
def test_one_that_is_not_healthy_gives_way_to_the_one_before(
    room: Path,
    before_runs: bool,
) -> None:
    fleet = Fleet(RELEASE.id, *([BEFORE.id] if before_runs else []))
    pages = {"/": says(404)}
    with interrupted(room, fleet, pages, audit.PUSHED, audit.SWITCHED) as ctx:
        recover(ctx)
        assert current_id(ctx.layout) == BEFORE.id
        assert audit.fold(audit.read(ctx.layout))[RELEASE.id].bad
        assert "/ answered 404" in audit.read(ctx.layout)[-1]["cause"]
        # Once is enough: nothing is left to be judged.
        lines = len(audit.read(ctx.layout))
        recover(ctx)
        assert len(audit.read(ctx.layout)) == lines
    assert fleet.running == {BEFORE.id}
    assert set(fleet.with_processes) == {BEFORE.id}


@pytest.mark.parametrize("previous", [None, BEFORE.id, a_release(7).id])
def test_without_anything_to_go_back_to_visitors_stay_where_they_are(
    room: Path,
    previous: str | None,
) -> None:
    fleet = Fleet(RELEASE.id, broken=(BEFORE.id,))
    events = (audit.PUSHED, audit.SWITCHED)
    with interrupted(room, fleet, {"/": says(404)}, *events, previous=previous) as ctx:
        recover(ctx)
        assert (current_id(ctx.layout), last_event(ctx)) == (RELEASE.id, audit.FAILED)
    assert fleet.running == {RELEASE.id}


def test_a_live_release_that_is_down_is_started_and_not_judged_again(room: Path) -> None:
    fleet = Fleet()
    events = (audit.PUSHED, audit.SWITCHED, audit.LIVE)
    with interrupted(room, fleet, {"/": says(500)}, *events) as ctx:
        recover(ctx)
        assert (current_id(ctx.layout), last_event(ctx)) == (RELEASE.id, audit.LIVE)
    assert fleet.running == {RELEASE.id}


def test_a_staged_release_waits_on_and_half_releases_and_strays_go(room: Path) -> None:
    staged, stray = a_release(2), a_release(3)
    fleet = Fleet(RELEASE.id, staged.id, stray.id)
    with interrupted(room, fleet, {}, audit.PUSHED, audit.SWITCHED, audit.LIVE) as ctx:
        audit.append(ctx.layout, audit.STAGED, staged.id)
        (ctx.layout.root / ".current").symlink_to("releases/half-way")
        ctx.layout.release(a_release(4).id).mkdir()
        recover(ctx)
        assert sorted(p.name for p in ctx.layout.releases.iterdir()) == [BEFORE.id, RELEASE.id]
        assert not (ctx.layout.root / ".current").is_symlink()
    assert fleet.running == {RELEASE.id, staged.id}


def test_one_that_is_being_stopped_is_nothing_to_recover_from(
    room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = Fleet(RELEASE.id)
    fleet.leaving = {BEFORE.id}
    retired: list[str] = []
    monkeypatch.setattr(fleet, "retire", retired.append)
    with interrupted(room, fleet, {}, audit.PUSHED, audit.SWITCHED, audit.LIVE) as ctx:
        recover(ctx)
    assert retired == []
