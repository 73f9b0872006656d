"""Measuring: contestants in turn, so that what else the machine does strikes all of them alike."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.ground import Ground
from benchmarks.model import OURS, Benchmark, Failed, Figures, Machine, Result, Run


def turns(names: Sequence[str], repeats: int) -> Iterator[tuple[int, str]]:
    """(round, contestant): A B C A B C ..., beginning with round 0, which only warms up."""
    for number in range(repeats + 1):
        for name in names:
            yield number, name


def measure(
    runs: Mapping[str, Run], repeats: int, note: Callable[[str], None]
) -> tuple[dict[str, list[Figures]], dict[str, str]]:
    """Every contestant's figures, and why those that gave up did.

    Raises:
        Failed: it was our own contestant.
    """
    found: dict[str, list[Figures]] = {name: [] for name in runs}
    gone: dict[str, str] = {}
    for number, name in turns(list(runs), repeats):
        if name in gone:
            continue
        try:
            figures = runs[name]()
        except Failed as failure:
            if name == OURS:
                raise
            gone[name] = failure.message
            del found[name]
            note(f"{name} gave up: {failure.message}")
            continue
        shown = ", ".join(f"{value:.3f} {key}" for key, value in figures.items())
        note(f"{f'run {number}' if number else 'warm-up'} of {name}: {shown}")
        if number:
            found[name].append(figures)
    return found, gone


def carry_out(
    benchmark: Benchmark,
    ground: Ground,
    repeats: int,
    revision: str,
) -> Result:
    """Make ready, measure, and tell."""
    begun = time.monotonic()
    with benchmark.open(ground) as ready:
        before = os.getloadavg()[0]
        takes_part = {name: run for name, run in ready.items() if not isinstance(run, str)}
        absent = {name: why for name, why in ready.items() if isinstance(why, str)}
        runs, gone = measure(takes_part, repeats, ground.note)
    return Result(
        benchmark=benchmark.name,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        minutes=round((time.monotonic() - begun) / 60, 1),
        revision=revision,
        machine=machine(before, os.getloadavg()[0]),
        runs=runs,
        absent=absent | gone,
    )


def machine(before: float, after: float) -> Machine:
    """This machine, and its load before and after."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_gb=round(memory),
        kernel=platform.release().split("-")[0],
        load=(round(before, 2), round(after, 2)),
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
