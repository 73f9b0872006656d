"""Deploys and rollbacks: ours, and what one would use instead, of the same site on one droplet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from benchmarks.ground import Ground
from benchmarks.model import (
    OURS,
    Benchmark,
    Contestant,
    Measure,
    Run,
    Target,
    median,
)
from benchmarks.peers.slipway import Slipway

SECONDS = Measure("seconds", "seconds")
CONTESTANTS = (Contestant(OURS, "`invoke deploy`, every gate on"),)


@contextmanager
def unchanged(ground: Ground) -> Iterator[Mapping[str, Run | str]]:
    ours = ground.once(Slipway)
    ours.deploy()
    yield {OURS: ours.deploy}


BENCHMARKS = (
    Benchmark(
        name="deploy-unchanged",
        title="Deploy, nothing changed",
        about="The command is given again.",
        contestants=CONTESTANTS,
        measures=(SECONDS,),
        targets=(Target("At most 1 s", median(OURS, "seconds"), at_most=1.0, unit="s"),),
        open=unchanged,
    ),
)
