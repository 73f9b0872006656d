"""A build begins before the lock is held where the platform can be guessed, and only if it may."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.ahead import Ahead
from deploy.artifact import Packages
from deploy.errors import Refused
from deploy.revision import Revision
from deploy.target import Platform
from tests.unit.test_stages import TARGET

SECONDS = 5
DROPLET = Platform("3.13", "x86_64")


@pytest.mark.parametrize("begin", [True, False])
def test_nothing_is_built_before_it_may_be(tmp_path: Path, begin: bool) -> None:
    kept = tmp_path / ".slipway" / "platforms" / f"{TARGET.host}.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(json.dumps({"python": "3.13", "machine": "x86_64"}))
    # There is no such commit: the build gets as far as the folder that it would be written to.
    Ahead(tmp_path, TARGET, Revision(tmp_path, "1" * 40, "2" * 40, "app", "", ""), begin)
    begun = tmp_path / ".slipway" / "cache" / "exports"
    deadline = time.monotonic() + (SECONDS if begin else 0.3)
    while not begun.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert begun.exists() is begin


class Built:
    """A build that hands out its packages, and goes on until it is told to end."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.refusal: Exception | None = None
        self.expected: Any = None

    def __call__(self, root: Path, *rest: Any) -> Any:
        unpacked, expected = rest[-2:]
        unpacked(Packages(root, "lock", root))
        if self.expected:
            expected(self.expected)
        assert self.go_on.wait(SECONDS)
        if self.refusal:
            raise self.refusal
        return SimpleNamespace(warnings=("slow",))


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Ahead, Built]]:
    made = Built()
    monkeypatch.setattr("deploy.build.build", made)
    yield Ahead(tmp_path, TARGET, Revision(tmp_path, "1" * 40, "2" * 40, "app", "", "")), made
    made.go_on.set()


def test_packages_are_handed_out_while_the_rest_is_built(built: tuple[Ahead, Built]) -> None:
    ahead, build = built
    packages = ahead.packages(DROPLET)
    assert packages
    assert packages.lock == "lock"
    ahead.check()
    build.go_on.set()
    notes: list[str] = []
    ahead.artifact(DROPLET, notes.append)
    assert notes == ["slow"]
    # There is nothing to be gained by sending them before all the rest any more.
    assert ahead.packages(DROPLET) is None


def test_who_sends_packages_is_told_when_the_build_is_refused(built: tuple[Ahead, Built]) -> None:
    ahead, build = built
    assert ahead.packages(DROPLET)
    build.refusal = Refused("DEBUG is on")
    build.go_on.set()
    with pytest.raises(Refused, match="DEBUG is on"):
        ahead.artifact(DROPLET, print)
    with pytest.raises(Refused, match="DEBUG is on"):
        ahead.check()


def test_what_is_expected_is_handed_out_until_it_is_known(built: tuple[Ahead, Built]) -> None:
    ahead, build = built
    build.expected = SimpleNamespace(warnings=())
    assert ahead.expected(DROPLET) is build.expected
    build.go_on.set()
    ahead.artifact(DROPLET, print)
    assert ahead.expected(DROPLET) is None


def test_nobody_waits_for_what_cannot_be_expected(built: tuple[Ahead, Built]) -> None:
    ahead, build = built
    threading.Timer(0.1, build.go_on.set).start()
    assert ahead.expected(DROPLET) is None
