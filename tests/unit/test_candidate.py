"""A release that starts before the project's answer is known, and is sealed after it."""

import json
import os
import zlib
from dataclasses import replace
from typing import Any

import pytest

from deploy.host import audit, candidate
from deploy.host.context import Context
from deploy.host.errors import BackedOut
from deploy.host.recovery import recover
from deploy.host.release import read_all
from deploy.host.wire import Wire
from tests.unit.test_pushing import Bound, assembled, ctx, manifest

__all__ = ["ctx"]


class Starting(Bound):
    """Instances that are being started, until they are told to stop."""

    def __init__(self, site: Any) -> None:
        super().__init__(site)
        self.starting: list[str] = []
        self.live = ""

    def expect(self) -> None:
        pass

    def begin(self, release: str) -> None:
        self.starting.append(release)

    def stop(self, release: str, seconds: float = 0) -> None:
        if release in self.starting:
            self.starting.remove(release)

    def loaded(self) -> dict[str, str]:
        return {**dict.fromkeys(self.starting, "activating"), self.live: "active"}

    def config(self) -> str:
        return "c" * 12


@pytest.fixture
def droplet(ctx: Context) -> Context:
    """One release is live."""
    live = assembled(ctx, manifest(ctx), "ada@desk")
    ctx.layout.current.symlink_to(f"releases/{live.id}")
    audit.append(ctx.layout, audit.LIVE, live.id)
    units = Starting(ctx.site)
    units.live = live.id
    return replace(ctx, units=units)


def begun(droplet: Context, **told: Any) -> str:
    """The id of a release that was begun."""
    plain = {"artifact": "b" * 64, "sizes": {}, "processes": {"web": "gunicorn mysite.wsgi"}}
    whole = {**manifest(droplet), **plain, **told}
    compressed = zlib.compress(json.dumps(whole).encode())
    reading, writing = os.pipe()
    os.write(writing, compressed)
    # Nothing follows it.
    os.close(writing)
    try:
        done = candidate.begin(droplet, Wire(reading), len(compressed), "ada@desk")
    finally:
        os.close(reading)
    return str(done["release"]["id"])


def starting(droplet: Context) -> list[str]:
    assert isinstance(droplet.units, Starting)
    return droplet.units.starting


def test_it_starts_and_is_no_release_before_it_is_sealed(droplet: Context) -> None:
    (live,) = read_all(droplet.layout)
    release = begun(droplet)
    assert starting(droplet) == [release]
    assert read_all(droplet.layout) == (live,)
    candidate.seal(droplet)
    assert [one.id for one in read_all(droplet.layout)] == [live.id, release]
    assert audit.read(droplet.layout)[-1]["event"] == audit.PUSHED
    # From here on it is like any other.
    candidate.withdraw(droplet)
    assert starting(droplet) == [release]


def test_nothing_is_left_of_one_that_is_withdrawn(droplet: Context) -> None:
    log = audit.read(droplet.layout)
    release = begun(droplet)
    assert starting(droplet) == [release]
    candidate.withdraw(droplet)
    assert not droplet.layout.release(release).exists()
    assert starting(droplet) == []
    assert isinstance(droplet.units, Starting)
    assert droplet.units.forgotten == [release]
    assert audit.read(droplet.layout) == log


def test_nothing_is_left_of_one_whose_objects_do_not_come(droplet: Context) -> None:
    (live,) = read_all(droplet.layout)
    with pytest.raises(BackedOut, match="connection to the controller was lost"):
        begun(droplet, app={"manage.py": "f" * 64})
    assert [path.name for path in droplet.layout.releases.iterdir()] == [live.id]
    assert isinstance(droplet.units, Starting)
    assert len(droplet.units.forgotten) == 1
    assert starting(droplet) == []


@pytest.mark.parametrize(
    "told",
    [
        {"migrations": ["catalog.0001_initial", "catalog.0002_more"]},
        {"processes": {"web": "gunicorn mysite.wsgi", "release": "true"}},
    ],
    ids=["migrations", "release line"],
)
def test_what_has_to_wait_for_something_does_not_start(
    droplet: Context, told: dict[str, Any]
) -> None:
    begun(droplet, **told)
    assert starting(droplet) == []
    candidate.seal(droplet)
    assert len(read_all(droplet.layout)) == 2


def test_the_first_release_does_not_start_before_its_database_is_there(droplet: Context) -> None:
    droplet.layout.current.unlink()
    begun(droplet)
    assert starting(droplet) == []


def test_one_that_a_killed_run_left_running_is_removed(droplet: Context) -> None:
    release = begun(droplet)
    assert starting(droplet) == [release]
    droplet.begun.clear()
    recover(droplet)
    assert starting(droplet) == []
    assert not droplet.layout.release(release).exists()
