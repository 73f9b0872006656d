"""Plain values: a benchmark, who takes part, what is counted, and what was promised."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.ground import Ground

# The contestant that the others are compared with.
OURS = "slipway"
REPEATS = 5

# What one run found: measure -> value.
Figures = Mapping[str, float]
# Contestant -> its figures, one for each run.
Runs = Mapping[str, Sequence[Figures]]
# Contestant -> measure -> median.
Medians = Mapping[str, Figures]
# One run of one contestant, with what has to be made ready for it.
Run = Callable[[], Figures]


class Failed(Exception):
    """A contestant cannot go on: one sentence, and what it said."""

    def __init__(self, message: str, detail: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.detail = tuple(detail)


@dataclass(frozen=True)
class Measure:
    """What is counted. ``unit`` is shown with it; ``digits`` after the point."""

    name: str
    unit: str
    less_is_better: bool = True
    digits: int = 2

    @property
    def heading(self) -> str:
        return self.name if self.name == self.unit else f"{self.name}, {self.unit}"

    def show(self, value: float) -> str:
        return f"{value:,.{self.digits}f}"


@dataclass(frozen=True)
class Contestant:
    """Who takes part. ``title`` says in a line what it is, the way it was used."""

    name: str
    title: str


@dataclass(frozen=True)
class Target:
    """A promise, in a plain sentence, and the check of it against the medians.

    ``value`` raises KeyError where what it needs was not measured.
    """

    sentence: str
    value: Callable[[Medians], float]
    at_most: float | None = None
    at_least: float | None = None
    unit: str = ""
    digits: int = 2

    def judge(self, medians: Medians) -> Verdict:
        try:
            value = self.value(medians)
        except (KeyError, ValueError):
            return Verdict(self, None, None)
        met = (self.at_most is None or value <= self.at_most) and (
            self.at_least is None or value >= self.at_least
        )
        return Verdict(self, value, met)


@dataclass(frozen=True)
class Verdict:
    """Whether a promise was kept. ``met`` is None when that cannot be told."""

    target: Target
    value: float | None
    met: bool | None


@dataclass(frozen=True)
class Benchmark:
    """One table of the page.

    Args:
        name: as typed: `invoke bench NAME`.
        title: its heading.
        about: what exactly is measured, and what is fair about it; a paragraph.
        contestants: in the order of the table; those that are no peers but yardsticks too.
        measures: the first is the one in the picture and the ratios.
        open: makes everything ready, and gives each contestant's run, or a sentence on why it
            cannot take part; what it started ends with the block.
        repeats: runs of each, after one that warms up.
    """

    name: str
    title: str
    about: str
    contestants: tuple[Contestant, ...]
    measures: tuple[Measure, ...]
    targets: tuple[Target, ...]
    open: Callable[[Ground], AbstractContextManager[Mapping[str, Run | str]]]
    repeats: int = REPEATS


@dataclass(frozen=True)
class Machine:
    """Where the figures are from. ``load`` is the average of a minute, before and after."""

    processor: str
    cores: int
    memory_gb: float
    kernel: str
    load: tuple[float, float]


@dataclass(frozen=True)
class Result:
    """What was found. ``absent`` says, per contestant, why it has no figures.

    ``measured_at`` is a moment (ISO 8601, UTC), ``minutes`` how long it took, ``revision`` what of
    this project was measured.
    """

    benchmark: str
    measured_at: str
    minutes: float
    revision: str
    machine: Machine
    runs: Runs
    absent: Mapping[str, str] = field(default_factory=dict)

    @property
    def medians(self) -> dict[str, dict[str, float]]:
        return {name: medians_of(runs) for name, runs in self.runs.items()}


def medians_of(runs: Sequence[Figures]) -> dict[str, float]:
    """Of every measure that all runs have."""
    names = [name for name in runs[0] if all(name in run for run in runs)] if runs else []
    return {name: statistics.median(run[name] for run in runs) for name in names}


def spread(runs: Sequence[Figures], measure: str) -> float | None:
    """Noise: how far apart the runs are, as a share of their median; None where it is 0."""
    values = [run[measure] for run in runs if measure in run]
    middle = statistics.median(values) if values else 0.0
    return (max(values) - min(values)) / middle if middle else None


def median(contestant: str, measure: str) -> Callable[[Medians], float]:
    """For targets: a contestant's median."""
    return lambda medians: medians[contestant][measure]


def ratio(
    contestant: str, to: Sequence[str], measure: str, less_is_better: bool = True
) -> Callable[[Medians], float]:
    """For targets: how many times the best of others needs what a contestant needs.

    Others that were not measured are left out, but for all of them.
    """

    def value(medians: Medians) -> float:
        others = [medians[name][measure] for name in to if name in medians]
        best = min(others) if less_is_better else max(others)
        if not medians[contestant][measure]:
            raise KeyError(measure)
        return best / medians[contestant][measure]

    return value
