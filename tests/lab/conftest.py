"""Droplets for the tests: test13 and test12, made ready at the same time, taken down at the end."""

import fcntl
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.preparations import (
    SUITES,
    Preparations,
    Provisioned,
    new_site,
    note,
    prepare,
    take_down,
)
from tests.lab.site import PREFIX, Site

LOCK = Path(f"/run/lock/{PREFIX}slipway-tests")


@pytest.fixture(scope="session")
def one_run_at_a_time() -> Iterator[None]:
    """The names of the tests' droplets are fixed, so a second bin/test would take them away.

    SLIPWAY_TEST_PREFIX gives it names of its own.
    """
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pytest.exit("Another bin/test uses the lab's test droplets. Wait for it to end.", 2)
        yield


@pytest.fixture(scope="session")
def preparations(
    request: pytest.FixtureRequest,
    one_run_at_a_time: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Preparations]:
    """Start making ready every droplet that a selected test asks for."""
    state = Preparations(request.config.pluginmanager.getplugin("capturemanager"))
    folder = tmp_path_factory.mktemp("clones")
    with ExitStack() as stack:
        pool = ThreadPoolExecutor(len(SUITES))
        stack.callback(pool.shutdown)
        for fixture, suite in SUITES.items():
            if not any(asks_for(item, fixture) for item in request.session.items):
                continue
            name = fixture.replace("debian", f"{PREFIX}test")
            note(name)
            # Runs before the pool's shutdown: without its droplet, what is under way soon ends.
            stack.callback(take_down, name)
            (folder / name).mkdir()
            state.futures[fixture] = pool.submit(prepare, name, suite, folder / name, state.say)
        yield state


def asks_for(item: pytest.Item, fixture: str) -> bool:
    parameters: Mapping[str, object] = getattr(getattr(item, "callspec", None), "params", {})
    return fixture in getattr(item, "fixturenames", []) or fixture in parameters.values()


@pytest.fixture(scope="session")
def provisioned(request: pytest.FixtureRequest, preparations: Preparations) -> Provisioned:
    """Both droplets in turn; ask for it with parametrize(..., SUITES, indirect=True)."""
    return preparations.wait(request.param)


def working(preparations: Preparations, fixture: str) -> Site:
    ready = preparations.wait(fixture)
    assert ready.first.code == 0, ready.first
    return ready.site


@pytest.fixture(scope="session")
def debian13(preparations: Preparations) -> Site:
    """The provisioned Debian 13 droplet."""
    return working(preparations, "debian13")


@pytest.fixture(scope="session")
def debian12(preparations: Preparations) -> Site:
    """The provisioned Debian 12 droplet."""
    return working(preparations, "debian12")


@pytest.fixture(scope="module")
def bare(preparations: Preparations, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A droplet as the cloud hands it over: never provisioned.

    Asking for `preparations` lets the other droplets be made ready meanwhile.
    """
    name = f"{PREFIX}testbare"
    note(name)
    try:
        yield new_site(name, "trixie", tmp_path_factory.mktemp("clone"))
    finally:
        take_down(name)
