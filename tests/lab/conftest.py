"""Droplets for the tests: test13 and test12, made ready at the same time, taken down at the end."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.lab.preparations import (
    SUITES,
    Preparations,
    Provisioned,
    claim,
    new_site,
    prepare,
    take_down,
)
from tests.lab.site import PREFIX, Site


@pytest.fixture(scope="session")
def preparations(
    request: pytest.FixtureRequest,
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
            claim(name)
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


@pytest.fixture(scope="module")
def site(debian13: Site) -> Site:
    """The Debian 13 droplet with a release that is live."""
    done = debian13.invoke("deploy")
    assert done.code == 0, done
    return debian13


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
    claim(name)
    try:
        yield new_site(name, "trixie", tmp_path_factory.mktemp("clone"))
    finally:
        take_down(name)
