"""What visitors notice of a deploy: the slowest answers with and without, in the same minutes.

    python -m benchmarks.switch --droplet NAME --minutes 3 > switch.json

Half of each minute nobody deploys; in the other half releases are deployed and rolled back one
after the other. Visitors come at a constant rate in an open loop (tests/lab/faults/loader.py).
"""

import argparse
import itertools
import sys
import time
from collections.abc import Sequence

from benchmarks.measured import machine, percentile, show, site_of
from lab.errors import LabError
from tests.lab.faults import changes
from tests.lab.faults.loader import RATE, Record
from tests.lab.faults.visitors import Visitors, between, lost
from tests.lab.site import Site

HALF_SECONDS = 30.0
WARM_UP_SECONDS = 3.0

Span = tuple[float, float]


def switch_for(site: Site, seconds: float) -> int:
    """Deploy and roll back, again and again; how often, in all."""
    begun = time.monotonic()
    for count in itertools.count():
        if time.monotonic() - begun >= seconds:
            return count
        if count % 2 == 0:
            changes.good(site)
        done = site.invoke("rollback" if count % 2 else "deploy")
        if done.code != 0:
            raise SystemExit(f"{done}\nIt failed, so there is nothing to measure.")
    raise AssertionError


def measure(
    site: Site, minutes: int, rate: float
) -> tuple[list[Record], list[Span], list[Span], int]:
    """All requests, when nobody deployed, when somebody did, and how many switches there were."""
    quiet, busy, switches = list[Span](), list[Span](), 0
    with Visitors(site, rate=rate) as visitors:
        visitors.wait_for(WARM_UP_SECONDS)
        for _ in range(minutes):
            begun = time.time()
            visitors.wait_for(HALF_SECONDS)
            middle = time.time()
            switches += switch_for(site, HALF_SECONDS)
            quiet.append((begun, middle))
            busy.append((middle, time.time()))
    return visitors.history, quiet, busy, switches


def figures(what: str, records: Sequence[Record], switches: int) -> dict[str, object]:
    seconds = [record.seconds for record in records]
    return {
        "": what,
        "switches": switches,
        "requests": len(records),
        "lost": len(lost(records)),
        "median ms": round(percentile(seconds, 0.5) * 1000),
        "p99 ms": round(percentile(seconds, 0.99) * 1000),
        "slowest ms": round(max(seconds) * 1000),
    }


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="What visitors notice of a deploy.")
    parser.add_argument("--droplet", required=True, help="a provisioned droplet of the lab")
    parser.add_argument("--minutes", type=int, default=3, choices=range(1, 16), metavar="1..15")
    parser.add_argument("--rate", type=float, default=RATE, help="requests a second")
    args = parser.parse_args(argv)
    try:
        with site_of(args.droplet) as site:
            history, quiet, busy, switches = measure(site, args.minutes, args.rate)
    except LabError as error:
        parser.error(str(error))
    spans = {"nobody deploys": (quiet, 0), "deploys and rollbacks": (busy, switches)}
    rows = [
        figures(what, [one for span in found for one in between(history, *span)], count)
        for what, (found, count) in spans.items()
    ]
    minutes = [
        {
            "quiet": max(one.seconds for one in between(history, *calm)),
            "deploys": max(one.seconds for one in between(history, *taken)),
        }
        for calm, taken in zip(quiet, busy, strict=True)
    ]
    facts = {"machine": machine(), "rate": args.rate, "rows": rows, "slowest by minute": minutes}
    show(f"{args.droplet}, {args.rate:g} requests a second", rows, facts)


if __name__ == "__main__":
    main(sys.argv[1:])
