"""The Procfile's other process types: what they hold is finished, and none runs twice."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest

from tests.lab.faults import changes
from tests.lab.roles import play
from tests.lab.site import Site

pytestmark = pytest.mark.slow

APP = "locallibrary"
LOG = f"/srv/{APP}/media/clock.log"
# A scheduler: it says when it begins and ends, and what it takes and has done.
CLOCK = """
import os
import signal
import time

going = True


def stop(*_):
    global going
    going = False


def tell(what):
    with open(os.environ["DJANGO_MEDIA_ROOT"] + "/clock.log", "a") as log:
        log.write(f"{time.monotonic():.3f} {os.environ['RELEASE_ID']} {what}\\n")
    print("clock", what, flush=True)


signal.signal(signal.SIGTERM, stop)
tell("begins")
while going:
    tell("takes")
    last = time.monotonic() + 1.5
    while time.monotonic() < last:
        time.sleep(0.1)
    tell("has done")
tell("ends")
"""


@dataclass(frozen=True)
class Said:
    """One line of the scheduler's log."""

    at: float
    release: str
    what: str


@pytest.fixture(scope="module")
def site(debian13: Site) -> Iterator[Site]:
    """The droplet with a scheduler of its own; without it afterwards."""
    facts = debian13.clone / "inventory" / "group_vars" / "all.yml"
    text = facts.read_text()
    files = {
        "app/clock.py": CLOCK,
        "app/Procfile": (debian13.clone / "app/Procfile").read_text() + "clock: python clock.py\n",
        "inventory/group_vars/all.yml": text.replace(
            "site_processes: {}", "site_processes: {clock: 1}"
        ),
    }
    before = debian13.git("rev-parse", "HEAD")
    debian13.commit(files, "A scheduler")
    done = play(debian13, ["app"])
    assert done.code == 0, done
    yield debian13
    debian13.git("reset", "--quiet", "--hard", before)
    assert debian13.invoke("deploy").code == 0
    done = play(debian13, ["app"])
    assert done.code == 0, done
    debian13.ask(f"rm -f {LOG}")


def told(site: Site) -> list[Said]:
    lines = [line.split(maxsplit=2) for line in site.ask(f"cat {LOG}").splitlines()]
    return [Said(float(at), release, what) for at, release, what in lines]


def test_each_finishes_what_it_holds_before_the_next_one_begins(site: Site) -> None:
    releases = []
    for _ in range(3):
        done = site.invoke("deploy")
        assert done.code == 0, done
        releases.append(site.release())
        changes.good(site)
    assert site.invoke("rollback").code == 0
    releases.append(site.release())
    assert releases[3] == releases[1]

    runs: list[list[Said]] = []
    for said in told(site):
        if said.what == "begins":
            runs.append([])
        runs[-1].append(said)
    assert [run[0].release for run in runs] == releases
    for run, following in pairwise(runs):
        # One release from its first word to its last, which came before the next one's first.
        assert {said.release for said in run} == {run[0].release}
        assert run[-1].what == "ends"
        assert run[-1].at < following[0].at
        work = [said.what for said in run[1:-1]]
        assert work == ["takes", "has done"] * (len(work) // 2)


def test_it_is_shown_restarted_and_read(site: Site) -> None:
    (clock,) = [process for process in site.json("ps") if process["process"] == "clock"]
    assert (clock["state"], clock["live"]) == ("active/running", True)
    count = len([said for said in told(site) if said.what == "begins"])
    done = site.invoke("ps.restart", "--process", "clock")
    assert done.code == 0, done
    assert [said.what for said in told(site)].count("begins") == count + 1
    shown = site.invoke("logs", "--process", "clock", "--lines", "5")
    assert "clock takes" in shown.stdout, shown
    # Nobody but systemd can say that it is gone.
    site.ask(f"systemctl kill --signal=KILL {shlex.quote(f'{APP}-clock@*')}")
    begun = f"[ $(grep -c begins {LOG}) -gt {count + 1} ]"
    site.ask(f"for n in $(seq 50); do {begun} && exit 0; sleep 0.1; done; exit 1")


def test_a_release_whose_scheduler_does_not_stay_up_is_taken_back(site: Site) -> None:
    live = site.release()
    before = site.git("rev-parse", "HEAD")
    site.commit({"app/clock.py": "raise SystemExit('no spring')\n"}, "A broken scheduler")
    failed = site.invoke("deploy")
    assert failed.code == 3, failed
    assert "its process clock ended when it had just begun" in failed.stderr, failed
    assert site.release() == live
    (clock,) = [process for process in site.json("ps") if process["process"] == "clock"]
    assert (clock["state"], clock["live"], clock["release"]) == ("active/running", True, live)
    site.git("reset", "--quiet", "--hard", before)
