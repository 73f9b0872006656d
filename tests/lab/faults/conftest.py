"""A droplet of its own for the faults, a report of what they did, and a clean start for each."""

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from tests.lab.faults import report
from tests.lab.faults.droplet import NAME, SECONDS, faults_site
from tests.lab.faults.inside import wait_until_free
from tests.lab.faults.report import Row
from tests.lab.preparations import claim, take_down
from tests.lab.site import ARTIFACTS, ROOT, Site

PAGE = ROOT / "docs" / "faults.md"
ROW = pytest.StashKey[Row]()
ROWS = pytest.StashKey[list[Row]]()
LEFT_OUT = pytest.StashKey[list[pytest.Item]]()
HERE = Path(__file__).parent

NewRow = Callable[[str, str, str, str], Row]


@pytest.fixture(scope="session")
def provisioned_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The droplet of the faults; gone at the end, also after a failure."""
    claim(NAME)
    try:
        yield faults_site(tmp_path_factory.mktemp("faults"))
    finally:
        take_down(NAME)


@pytest.fixture(scope="session")
def first_release(provisioned_site: Site) -> Site:
    """The droplet with a release that is live."""
    done = provisioned_site.invoke("deploy")
    assert done.code == 0, done
    return provisioned_site


@pytest.fixture
def site(first_release: Site) -> Iterator[Site]:
    """The droplet; the clone is put back to the good revision after the test."""
    wait_until_free(first_release)
    good = first_release.git("rev-parse", "HEAD")
    yield first_release
    first_release.git("reset", "--quiet", "--hard", good)
    first_release.git("clean", "--quiet", "--force", "-d")


@pytest.fixture
def row(request: pytest.FixtureRequest) -> NewRow:
    """Call it first: what this test does, for the table."""

    def new(group: str, fault: str, done: str, invariants: str) -> Row:
        made = Row(group, fault, done, invariants)
        request.node.stash[ROW] = made
        request.config.stash.setdefault(ROWS, []).append(made)
        return made

    return new


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    told = yield
    if ROW in item.stash and call.when == "call":
        item.stash[ROW].result = told.outcome
    return told


def pytest_deselected(items: list[pytest.Item]) -> None:
    for item in items:
        item.config.stash.setdefault(LEFT_OUT, []).append(item)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the table; in docs/ all of it, or the rows that were asked for."""
    config = session.config
    rows = config.stash.get(ROWS, [])
    if not rows:
        return
    waits = " and ".join(f"`{name}: {seconds}`" for name, seconds in SECONDS.items())
    setting = f"a Debian 13 droplet on {os.cpu_count()} shared cores with {waits}"
    report.write(rows, setting, ARTIFACTS / "faults.md")
    asked = [Path(argument).resolve() for argument in config.args if "::" not in argument]
    mine = [item for item in session.items if item.path.is_relative_to(HERE)]
    left_out = [item for item in config.stash.get(LEFT_OUT, []) if item.path.is_relative_to(HERE)]
    whole = any(map(HERE.is_relative_to, asked)) and not left_out and len(rows) == len(mine)
    named = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    asked_for = any(path.is_relative_to(HERE) for path in named)
    now = rows if whole else report.renewed(report.read(PAGE), rows) if asked_for else []
    if now and not report.tells_the_same(now, PAGE):
        report.write(now, setting, PAGE)
