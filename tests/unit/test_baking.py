"""A live release is watched: as a visitor, by its unit, and by what it counts."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.host import baking, health
from deploy.host.baking import Before, bake, bake_processes, look
from deploy.host.health import COUNTERS_PATH, Counters
from deploy.host.units import UnitState
from tests.unit.test_health import (
    RELEASE,
    UP,
    Answer,
    Asked,
    instance,
    says,
    site,
)
from tests.unit.test_release import a_release

CALM = Counters(requests=100, failures=1, workers=2)
CALM_BEFORE = Before(share=0.0)


class Counting:
    """An instance that counts: what it says in turn, the last one for ever."""

    def __init__(self, *counters: Counters) -> None:
        self._left = list(counters)

    def __call__(self, asked: Asked) -> None:
        now = self._left.pop(0) if len(self._left) > 1 else self._left[0]
        asked.say(200, json.dumps(vars(now)))


class Readiness:
    """Answers of /readyz in turn, the last one for ever."""

    def __init__(self, *statuses: int) -> None:
        self._left = list(statuses)

    def __call__(self, asked: Asked) -> None:
        asked.say(self._left.pop(0) if len(self._left) > 1 else self._left[0])


class Nginx(health._Unix):
    """The way visitors come; here it leads to the instance."""

    socket_path: Path

    def __init__(self, domain: str, timeout: float, source: str) -> None:
        super().__init__(self.socket_path, timeout)


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder whose path is short enough for a unix socket."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def near(monkeypatch: pytest.MonkeyPatch, room: Path) -> None:
    monkeypatch.setattr(baking, "PROBE_SECONDS", 0.01)
    monkeypatch.setattr(health, "_Local", Nginx)
    monkeypatch.setattr(
        Nginx, "socket_path", room / "releases" / RELEASE.id / "run/web.sock", raising=False
    )


def watch(
    room: Path,
    pages: dict[str, Answer],
    *states: UnitState,
    before: Before = CALM_BEFORE,
    seconds: float = 0.05,
) -> tuple[str | None, list[str]]:
    """What baking says is wrong, and what it notes."""
    notes: list[str] = []
    with instance(room, site({COUNTERS_PATH: Counting(CALM), **pages}), *states) as (ctx, _):
        ctx = replace(ctx, site=replace(ctx.site, bake_seconds=seconds))
        return bake(ctx, RELEASE, before, notes.append), notes


def test_a_calm_release_stays(room: Path) -> None:
    later = Counters(requests=150, failures=3, workers=3)
    assert watch(room, {COUNTERS_PATH: Counting(CALM, later)}) == (
        None,
        ["50 answers, 2 of them 5xx"],
    )


@pytest.mark.parametrize(
    ("grown", "share_before", "trouble"),
    [
        (Counters(100, 10, 0), 0.0, "10 of 100 answers were 5xx (10%, before the switch 0%)"),
        (Counters(100, 10, 0), 0.06, None),
        (Counters(100, 5, 0), 0.0, None),  # as much as bake_error_share allows
        (Counters(2, 2, 0), 0.0, None),  # too few to be a share
        (Counters(3, 3, 0), 0.9, "3 of 3 answers were 5xx (100%, before the switch 90%)"),
        (Counters(0, 0, 1), 0.0, None),  # Gunicorn replaces one now and then
        (Counters(0, 0, 2), 0.0, "2 of its workers crashed"),
    ],
)
def test_failures_and_crashes_are_measured_against_the_release_before(
    room: Path,
    grown: Counters,
    share_before: float,
    trouble: str | None,
) -> None:
    now = Counters(
        CALM.requests + grown.requests,
        CALM.failures + grown.failures,
        CALM.workers + grown.workers,
    )
    pages: dict[str, Answer] = {COUNTERS_PATH: Counting(CALM, now)}
    assert watch(room, pages, before=Before(share=share_before))[0] == trouble


@pytest.mark.parametrize(
    "after",
    [replace(UP, active="failed", sub="failed", result="exit-code"), replace(UP, restarts=1)],
)
def test_a_unit_that_crashes_is_seen_at_once(room: Path, after: UnitState) -> None:
    trouble, _ = watch(room, {}, UP, UP, after, seconds=60)
    assert trouble == f"its unit crashed ({after.active}/{after.sub}, {after.result})"


@pytest.mark.parametrize(
    ("answers", "trouble"),
    [
        (Readiness(200, 502), "https://mysite.example.org/readyz answers 502"),
        (Readiness(502, 200), None),
        (Readiness(502, 200, 502, 200), None),
        (lambda asked: asked.connection.close(), "cannot be reached on the droplet"),
    ],
)
def test_visitors_have_to_be_let_down_twice_in_a_row(
    room: Path,
    answers: Answer,
    trouble: str | None,
) -> None:
    found, _ = watch(room, {"/readyz": answers})
    assert (trouble in found) if trouble and found else found is trouble


def test_a_release_that_visitors_do_not_get_is_not_live(room: Path) -> None:
    other = replace(RELEASE, id=a_release(2).id)
    with instance(room, site({})) as (ctx, _):
        assert bake(ctx, other, CALM_BEFORE, print) == (
            f"https://mysite.example.org/readyz is answered by release {RELEASE.id}"
        )


def test_trouble_that_was_there_before_is_not_the_releases_fault(room: Path) -> None:
    down = "https://mysite.example.org/readyz answers 502"
    trouble, notes = watch(room, {"/readyz": says(502)}, before=Before(trouble=down, share=0.0))
    assert trouble is None
    assert notes == [f"not judged from outside, as it was so before the switch: {down}"]


def test_what_is_measured_against_is_the_release_that_served(room: Path) -> None:
    pages: dict[str, Answer] = {COUNTERS_PATH: Counting(CALM), "/readyz": says(503)}
    with instance(room, site(pages)) as (ctx, _):
        assert look(ctx, None) == Before()
        assert look(ctx, RELEASE.id) == Before(
            "https://mysite.example.org/readyz answers 503", share=0.01
        )


def test_the_first_release_is_asked_once_as_there_is_nothing_to_go_back_to(room: Path) -> None:
    trouble, notes = watch(room, {}, before=Before(), seconds=60)
    assert (trouble, notes) == (None, ["0 answers, 0 of them 5xx"])


@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_what_can_wait_is_done_once_after_the_first_look(room: Path, seconds: float) -> None:
    asked: list[int] = []
    with instance(room, site({COUNTERS_PATH: Counting(CALM)})) as (ctx, server):
        ctx = replace(ctx, site=replace(ctx.site, bake_seconds=seconds))
        note = asked.append
        assert bake(ctx, RELEASE, CALM_BEFORE, print, lambda: note(len(server.asked))) is None
    # The counters, the page, and the counters again.
    assert asked == [3]


def test_ctrl_c_takes_the_release_back(room: Path) -> None:
    with instance(room, site({})) as (ctx, _):
        ctx.cancel.set()
        assert bake(ctx, RELEASE, CALM_BEFORE, print) == "somebody pressed Ctrl-C"


@pytest.mark.parametrize(
    ("state", "sub", "restarts", "ended"),
    [
        ("active", "running", 0, False),
        ("activating", "auto-restart", 0, True),
        ("active", "running", 1, True),
        ("failed", "failed", 0, True),
    ],
)
def test_a_worker_that_ends_at_once_is_seen(
    room: Path,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    sub: str,
    restarts: int,
    ended: bool,
) -> None:
    units = {
        f"mysite-web@{RELEASE.id}": ("active", "running", 0),
        f"mysite-clock@{RELEASE.id}": (state, sub, restarts),
        "mysite-clock@another": ("failed", "failed", 9),
    }
    shown = "\n\n".join(
        f"Id={name}.service\nActiveState={active}\nSubState={now}\nNRestarts={count}"
        for name, (active, now, count) in units.items()
    )
    systemctl = room / "systemctl"
    systemctl.write_text(f"#!/bin/sh\ncat <<'END'\n{shown}\nEND\n")
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(room), prepend=":")
    monkeypatch.setattr(baking, "PROCESS_SECONDS", 0.05)
    with instance(room, site({})) as (ctx, _):
        ctx = replace(ctx, site=replace(ctx.site, processes=("clock",)))
        trouble = bake_processes(ctx, RELEASE.id)
    assert trouble == (
        "its process clock ended when it had just begun "
        f"(invoke logs --process clock --release {RELEASE.id})"
        if ended
        else None
    )
