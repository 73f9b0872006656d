"""Order of the stages, the choice of slow tests, and what the lab's tests need to run at all."""

import signal
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from lab import host

ROOT = Path(__file__).resolve().parent.parent
STAGES = ["lint", "unit", "templates", "contract", "app", "lab"]
# Folders and files of the lab's tests with droplets of their own; the rest share test13 and test12.
GROUPS = {"faults": "faults", "test_droplets.py": "droplets", "sites": "sites"}

# A busy machine is no failure: nothing here is judged by a clock.
settings.register_profile("slipway", deadline=None)
settings.load_profile("slipway")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the tests marked slow as well")


def pytest_configure(config: pytest.Config) -> None:
    """SIGTERM tears the droplets down as Ctrl-C does, and Ctrl-C reaches what tests start."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    # A shell has its background jobs ignore it, and what these start would as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def stage_of(item: pytest.Item) -> str:
    tests = ROOT / "tests"
    return item.path.relative_to(tests).parts[0] if item.path.is_relative_to(tests) else "app"


class ByDroplet(LoadScopeScheduling):  # type: ignore[misc]
    """Tests of one droplet run in one process, in their order; any other test wherever."""

    def _split_scope(self, nodeid: str) -> str:
        folder, _, rest = nodeid.partition("/lab/")
        if folder != "tests":
            return nodeid
        return GROUPS.get(rest.partition("::")[0].partition("/")[0], "site")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByDroplet:
    return ByDroplet(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Quick stages first; slow tests only with --full; lab tests only where droplets can run."""
    obstacle = host.can_run() if any(stage_of(item) == "lab" for item in items) else None
    for item in items:
        stage = stage_of(item)
        if stage in {"lint", "app", "lab"}:
            item.add_marker(stage)
        if stage == "lab" and obstacle:
            item.add_marker(pytest.mark.skip(reason=obstacle))
    items.sort(key=lambda item: STAGES.index(stage_of(item)))
    if not config.getoption("--full"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        if slow:
            config.hook.pytest_deselected(items=slow)
            items[:] = [item for item in items if item not in slow]
