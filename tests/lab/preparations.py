"""Making the tests' droplets ready, several at a time, with their progress shown."""

import fcntl
import os
import re
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest

from tests.lab.inventories import write_for_tests
from tests.lab.site import ROOT, Done, Site, clone_work_tree, run

# Fixture -> what its droplet runs. The droplets are called test13 and test12.
SUITES = {"debian13": "trixie", "debian12": "bookworm"}
# bin/test names a folder, and takes down what is still noted there should pytest be killed.
RUNNING = os.environ.get("BIN_TEST_DROPLETS")
CLAIMS: dict[str, int] = {}

Say = Callable[[str], None]


@dataclass(frozen=True)
class Provisioned:
    """A site, and what the first and the second run of site.yml said about its droplet."""

    site: Site
    first: Done
    second: Done


def bring_up(name: str, suite: str) -> str:
    """A new droplet, also when an earlier run left one of this name; returns its address."""
    run("invoke", "lab.down", "--name", name, cwd=ROOT)
    up = run("invoke", "lab.up", "--name", name, "--suite", suite, cwd=ROOT)
    found = re.search(r"\b10\.87\.0\.\d+\b", up.stdout)
    assert up.code == 0, up
    assert found, up
    return found[0]


def take_down(name: str) -> None:
    run("invoke", "lab.down", "--name", name, cwd=ROOT)
    release(name)


def release(name: str) -> None:
    """The droplet is gone: others may have its name."""
    if RUNNING:
        (Path(RUNNING) / name).unlink(missing_ok=True)
    os.close(CLAIMS.pop(name))


def claim(name: str) -> None:
    """Before a droplet is brought up: note it, and keep another bin/test from taking it away.

    The names are fixed; SLIPWAY_TEST_PREFIX gives a second run names of its own.
    """
    lock = os.open(f"/run/lock/slipway-droplet-{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pytest.exit(f"Another bin/test uses the droplet {name}. Wait for it to end.", 2)
    CLAIMS[name] = lock
    if RUNNING:
        (Path(RUNNING) / name).touch()


def new_site(name: str, suite: str, clone: Path) -> Site:
    """A new droplet and a work tree that leads to it."""
    site = Site(name, suite, bring_up(name, suite), clone)
    clone_work_tree(clone)
    write_for_tests(site)
    site.commit({}, "The work tree under test")
    return site


def prepare(name: str, suite: str, clone: Path, say: Say) -> Provisioned:
    """A droplet brought up, and provisioned twice."""
    say(f"{name}: bringing the droplet up ({suite})")
    site = new_site(name, suite, clone)
    say(f"{name}: provisioning; what it says is kept as artifacts/{name}-provision-1.log")
    first = site.play(log=f"{name}-provision-1")
    say(f"{name}: provisioned, exit {first.code}; now a second run")
    second = site.play("-e", "unchanged_skip=false", log=f"{name}-provision-2")
    say(f"{name}: ready")
    return Provisioned(site, first, second)


class Preparations:
    """The droplets this session needs, being made ready in the background."""

    def __init__(self, capture: object) -> None:
        self.capture = capture
        self.begun = time.monotonic()
        self.said: SimpleQueue[str] = SimpleQueue()
        self.futures: dict[str, Future[Provisioned]] = {}

    def say(self, text: str) -> None:
        self.said.put(f"  [{time.monotonic() - self.begun:4.0f} s] {text}")

    def wait(self, fixture: str) -> Provisioned:
        """The droplet of that fixture, ready; meanwhile the progress of all is shown."""
        while True:
            ready = self.futures[fixture].done()
            self.show()
            if ready:
                return self.futures[fixture].result()
            time.sleep(0.5)

    def show(self) -> None:
        """Print what the threads said, past pytest's capturing."""
        with self.capture.global_and_fixture_disabled():  # type: ignore[attr-defined]
            while True:
                try:
                    print(f"\n{self.said.get_nowait()}", end="", flush=True)
                except Empty:
                    return
