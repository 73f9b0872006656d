"""How long a deploy takes, phase by phase.

    python -m benchmarks.deploy --droplet NAME --runs 5 > deploy.json

Measured are the redeploy of a one-line change (from the command to the new revision being live,
and to the end), a deploy that changes nothing, and a rollback to a release that is not running.
"""

import argparse
import re
import sys
import time

from benchmarks.measured import machine, median, show, site_of
from lab.errors import LabError
from tests.lab.faults import changes
from tests.lab.faults.controller import Controller
from tests.lab.site import Site

PHASE = re.compile(r"^done\s+([\d.]+) s\s+(\w[\w ]*?)(?:\s{2}.*)?$", re.MULTILINE)

Run = dict[str, float]


def timed(site: Site, task: str) -> Run:
    """Seconds of every phase, from the command to "live", and "in all"."""
    with Controller(site, task) as controller:
        done = controller.done()
        ended = time.monotonic() - controller.begun
        if done.code != 0:
            raise SystemExit(f"{done}\n`invoke {task}` failed, so there is nothing to measure.")
        run = {name: float(seconds) for seconds, name in PHASE.findall(done.output)}
        if "switch" in run:
            run["live"] = round(controller.seconds("switch"), 3)
        run["in all"] = round(ended, 3)
        return run


def measure(site: Site, runs: int) -> dict[str, list[Run]]:
    """Every run of every kind, after one of each that warms the caches."""
    found: dict[str, list[Run]] = {"one line": [], "nothing changed": [], "rollback": []}
    for _ in range(runs + 1):
        changes.good(site)
        found["one line"].append(timed(site, "deploy"))
        found["nothing changed"].append(timed(site, "deploy"))
        found["rollback"].append(timed(site, "rollback"))
    return {kind: all_runs[1:] for kind, all_runs in found.items()}


def medians(runs: list[Run]) -> Run:
    """Of every phase that all runs have, in their order."""
    return {name: median([run[name] for run in runs]) for name in runs[0]}


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="How long a deploy takes.")
    parser.add_argument("--droplet", required=True, help="a provisioned droplet of the lab")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args(argv)
    try:
        with site_of(args.droplet) as site:
            found = measure(site, args.runs)
    except LabError as error:
        parser.error(str(error))
    told = {kind: medians(runs) for kind, runs in found.items()}
    names = list(dict.fromkeys(name for run in told.values() for name in run))
    rows = [
        {"seconds": name, **{kind: run.get(name, "") for kind, run in told.items()}}
        for name in names
    ]
    title = f"Medians of {args.runs} runs on {args.droplet}"
    show(title, rows, {"machine": machine(), "medians": told, "runs": found})


if __name__ == "__main__":
    main(sys.argv[1:])
