"""What visitors notice while releases change: ours, and restarts, sockets, HUP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from benchmarks.ground import Ground
from benchmarks.model import OURS, Benchmark, Contestant, Figures, Measure, Run, Target, median
from benchmarks.peers import new_line, stand
from benchmarks.peers.slipway import Slipway
from benchmarks.peers.tutorial import Tutorial
from benchmarks.routes import near
from tests.lab.faults.loader import Record
from tests.lab.faults.visitors import Visitors, between, lost
from tests.lab.site import Site

Switches = Sequence[Callable[[], object]]

SCRIPT = Path(__file__).with_name("switch.sh")
CERTIFICATE = "/etc/ssl/locallibrary/live"
NOBODY = "none"
# How one goes over to new code; the port is Nginx's.
WAYS = {
    "restart": (8451, "systemctl restart bench-restart.service"),
    "socket": (8452, "systemctl restart bench-socket.service"),
    "hup": (8453, "systemctl reload bench-hup.service"),
}
SECONDS = 15.0
SETTLE_SECONDS = 2.0
CONTESTANTS = (
    Contestant(OURS, "`invoke deploy`, then `invoke rollback`"),
    Contestant("hup", "Gunicorn reloads, twice"),
    Contestant("socket", "Gunicorn restarts behind a socket unit, twice"),
    Contestant("restart", "Gunicorn restarts, twice"),
    Contestant(NOBODY, "a yardstick: nobody deploys"),
)
FAILED = Measure("failed", "requests", digits=0)
P99 = Measure("p99", "ms", digits=0)
SLOWEST = Measure("slowest", "ms", digits=0)
REQUESTS = Measure("requests", "sent", less_is_better=False, digits=0)


@contextmanager
def open_(ground: Ground, rate: float, path: str) -> Iterator[Mapping[str, Run | str]]:
    site, route = ground.site, ground.once(near)
    ours, tutorial = ground.once(Slipway), ground.once(Tutorial)
    tutorial.change(new_line())
    tutorial.deploy(route)
    stand.as_root(site, SCRIPT.read_text(), HOST=site.domain, CERTIFICATE=CERTIFICATE)

    def release() -> None:
        ours.change(new_line())
        with ours.giving_way():
            ours.deploy(route)

    def take_back() -> None:
        with ours.giving_way():
            ours.rollback(route)

    release()
    runs: dict[str, Run] = {
        OURS: partial(visited, site, rate, path, 443, [release, take_back]),
        NOBODY: partial(visited, site, rate, path, 443, []),
    }
    for name, (port, command) in WAYS.items():
        runs[name] = partial(visited, site, rate, path, port, [partial(site.ask, command)] * 2)
    yield runs


def visited(site: Site, rate: float, path: str, port: int, switches: Switches) -> Figures:
    """Visitors at that rate, while the site goes over to something else, again and again."""
    with Visitors(site, path, rate, port=port) as visitors:
        visitors.wait_for(SETTLE_SECONDS)
        begun, begun_at = time.monotonic(), time.time()
        for number, switch in enumerate(switches):
            due = begun + number * SECONDS / len(switches)
            visitors.wait_for(max(0.0, due - time.monotonic()))
            switch()
        visitors.wait_for(max(0.0, begun + SECONDS - time.monotonic()))
        ended_at = time.time()
    return figures(between(visitors.history, begun_at, ended_at))


def figures(records: Sequence[Record]) -> Figures:
    """What visitors had; a request that was lost counts with the time until that was known."""
    seconds = sorted(record.seconds for record in records)
    return {
        "failed": len(lost(records)),
        "p99": seconds[min(len(seconds) - 1, int(0.99 * len(seconds)))] * 1000,
        "slowest": seconds[-1] * 1000,
        "requests": len(records),
    }


def benchmark(rate: int, path: str, page: str) -> Benchmark:
    def opening(ground: Ground) -> AbstractContextManager[Mapping[str, Run | str]]:
        return open_(ground, rate, path)

    return Benchmark(
        name=f"switch-{rate}",
        title=f"Visitors during a switch, {rate} requests a second",
        about=(
            f"Requests over HTTPS to {page}, each on a connection of its own, sent at their "
            "times whatever became of those before (an open loop), for 15 s with two changes of "
            "the running code. Ours are whole deploys and rollbacks, whose controller gives way "
            "(nice 19), as it has the droplet's processors here; of the others only the command "
            "that changes over is run. A time counts from when the request was due."
        ),
        contestants=CONTESTANTS,
        measures=(P99, FAILED, SLOWEST, REQUESTS),
        targets=(
            Target("No request fails", median(OURS, "failed"), at_most=0, digits=0),
            Target(
                "p99 at most 1.2 times that of a run without switches",
                lambda medians: medians[OURS]["p99"] / medians[NOBODY]["p99"],
                at_most=1.2,
                unit="times",
            ),
        ),
        open=opening,
    )


BENCHMARKS = (
    benchmark(40, "/", "the home page"),
    # More home pages than two processors carry beside their clients and a deploy.
    benchmark(200, "/healthz", "the smallest page, which asks no database"),
)
