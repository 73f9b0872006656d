"""What is done while a live release is watched, and what is known of the others after it."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.host import baking, health, objects, switching
from deploy.host.context import Context
from deploy.host.pushing import seal
from deploy.host.release import current_id
from tests.unit.test_baking import Nginx
from tests.unit.test_health import RELEASE, UP, Unit, instance, site
from tests.unit.test_release_phase import Heard

DAYS_LEFT = {"not_after": "2026-01-30T00:00:00+00:00", "days": -1}


class Running(Unit):
    """Two instances, of which the other one served before."""

    def start(self, release: str, seconds: float) -> str | None:
        return None

    def prepare(self) -> None:
        pass

    def loaded(self) -> dict[str, str]:
        return {RELEASE.id: "active", "before": "active"}


@pytest.fixture
def ctx(monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    """A sealed release that runs, and an object that nothing is made of."""
    monkeypatch.setattr(baking, "PROBE_SECONDS", 0.01)
    monkeypatch.setattr(health, "_Local", Nginx)
    monkeypatch.setattr(switching, "shown", lambda domain: DAYS_LEFT)
    # A short path: that of the socket has to fit into 107 bytes.
    with tempfile.TemporaryDirectory() as folder, instance(Path(folder), site({})) as (ctx, _):
        path = ctx.layout.socket(RELEASE.id)
        monkeypatch.setattr(Nginx, "socket_path", path, raising=False)
        for name in ("venvs", "objects", "static", "tools"):
            (ctx.layout.root / name).mkdir()
        objects.put(ctx.layout.objects, b"left behind")
        (ctx.layout.release(RELEASE.id) / "manifest.json").write_text('{"files": {}, "assets": {}}')
        seal(ctx.layout.release(RELEASE.id), RELEASE)
        yield replace(ctx, units=Running(UP), reporter=Heard())


def test_what_can_wait_is_done_while_it_bakes(ctx: Context) -> None:
    switched = switching.activate(ctx, RELEASE)
    assert current_id(ctx.layout) == RELEASE.id
    assert not [path for path in ctx.layout.objects.rglob("*") if path.is_file()]
    assert isinstance(ctx.reporter, Heard)
    assert any("the certificate expired on 2026-01-30" in note for note in ctx.reporter.notes)
    # For those who have the others stopped.
    assert switched.loaded == {RELEASE.id: "active", "before": "active"}


def test_what_cannot_be_removed_is_no_fault_of_the_release(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(layout: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(switching, "sweep", read_only)
    switching.activate(ctx, RELEASE)
    assert isinstance(ctx.reporter, Heard)
    assert any("is not tidy yet: [Errno 30]" in note for note in ctx.reporter.notes)
