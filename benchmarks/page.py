"""docs/benchmarks.md, written from the results alone."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.model import (
    OURS,
    Benchmark,
    Measure,
    Result,
    Verdict,
    spread,
)
from benchmarks.pictures import draw

PICTURES = Path("images/benchmarks")
HEAD = """\
# Benchmarks

Slipway and what one would pick instead, measured side by side on the same droplets of the lab.
`invoke bench` measures again and writes this page; `invoke bench --list` names the benchmarks, and
`invoke bench NAME` renews one. The figures of every run are in
[benchmarks/results](../benchmarks/results).

Contestants take turns (A B C A B C ...), after one round that warms up and is not counted. Clocks
are monotonic. Shown are medians, the least and the most of all runs, and how many times as much as
Slipway. "Noise" is the distance between the least and the most, as a share of the median. A droplet
of the lab is a namespace of the very machine that measures, without a real network or disk: trust
the ratios more than the seconds.
"""
YES, NO, UNKNOWN = "met", "**missed**", "not measured"


def write(benchmarks: Sequence[tuple[Benchmark, Result]], docs: Path) -> None:
    """The page and its pictures, for those benchmarks that have results."""
    (docs / PICTURES).mkdir(parents=True, exist_ok=True)
    for benchmark, result in benchmarks:
        (docs / PICTURES / f"{benchmark.name}.svg").write_text(draw(benchmark, result))
    (docs / "benchmarks.md").write_text(page(benchmarks))


def page(benchmarks: Sequence[tuple[Benchmark, Result]]) -> str:
    parts = [HEAD, "\n".join(_overview(benchmarks))]
    parts += ["\n".join(section(benchmark, result)) for benchmark, result in benchmarks]
    return "\n".join(parts)


def section(benchmark: Benchmark, result: Result) -> Iterator[str]:
    """One benchmark's part of the page, in lines."""
    yield f"## {benchmark.title}\n"
    yield f"`{benchmark.name}`. {benchmark.about}\n"
    yield f"![{benchmark.title}]({PICTURES / benchmark.name}.svg)\n"
    yield from _table(benchmark, result)
    for one in benchmark.contestants:
        if one.name in result.absent:
            yield f"\n{one.name} was not measured: {result.absent[one.name]}"
    yield ""
    for verdict in verdicts(benchmark, result):
        yield f"* {_told(verdict)}"
    yield f"\n{_circumstances(benchmark, result)}\n"


def verdicts(benchmark: Benchmark, result: Result) -> list[Verdict]:
    return [target.judge(result.medians) for target in benchmark.targets]


def anchor(title: str) -> str:
    """Where a heading's link leads to, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def _overview(benchmarks: Sequence[tuple[Benchmark, Result]]) -> Iterator[str]:
    yield "| benchmark | Slipway | others | targets |"
    yield "|---|---|---|---|"
    for benchmark, result in benchmarks:
        measure, medians = benchmark.measures[0], result.medians
        known = {name: found for name, found in medians.items() if measure.name in found}
        ours = known.pop(OURS, {}).get(measure.name)
        shown = [f"{name} {measure.show(found[measure.name])}" for name, found in known.items()]
        judged = [verdict.met for verdict in verdicts(benchmark, result)]
        yield (
            "| "
            + " | ".join(
                [
                    f"[{benchmark.title}](#{anchor(benchmark.title)})",
                    "" if ours is None else f"**{measure.show(ours)}** {measure.unit}",
                    ", ".join(shown),
                    f"{judged.count(True)} of {len(judged)} met" if judged else "",
                ]
            )
            + " |"
        )
    yield ""


def _table(benchmark: Benchmark, result: Result) -> Iterator[str]:
    heads = ["contestant"]
    for measure in benchmark.measures:
        heads += [measure.heading, "least to most"]
    yield f"| {' | '.join([*heads, 'times Slipway'])} |"
    yield f"|---|{'---:|' * len(heads)}"
    for one in benchmark.contestants:
        runs = result.runs.get(one.name)
        if not runs:
            continue
        cells = [f"**{one.name}**: {one.title}" if one.name == OURS else f"{one.name}: {one.title}"]
        for measure in benchmark.measures:
            cells += _cells(measure, [run[measure.name] for run in runs if measure.name in run])
        yield f"| {' | '.join([*cells, _times(benchmark.measures[0], one.name, result)])} |"


def _cells(measure: Measure, values: Sequence[float]) -> list[str]:
    if not values:
        return ["", ""]
    ends = f"{measure.show(min(values))} to {measure.show(max(values))}"
    return [measure.show(statistics.median(values)), ends]


def _times(measure: Measure, name: str, result: Result) -> str:
    """How many times as much as ours."""
    medians = result.medians
    ours, theirs = medians.get(OURS, {}).get(measure.name), medians[name].get(measure.name)
    return "" if name == OURS or not ours or theirs is None else f"{theirs / ours:.1f}"


def _told(verdict: Verdict) -> str:
    target = verdict.target
    if verdict.value is None:
        return f"{target.sentence}: {UNKNOWN}."
    value = f"{verdict.value:,.{target.digits}f}{target.unit and f' {target.unit}'}"
    return f"{target.sentence}: {value}, {YES if verdict.met else NO}."


def _circumstances(benchmark: Benchmark, result: Result) -> str:
    measure, machine = benchmark.measures[0], result.machine
    noise = [
        f"{name} {noisy:.0%}"
        for name, runs in result.runs.items()
        if (noisy := spread(runs, measure.name)) is not None
    ]
    count = max((len(runs) for runs in result.runs.values()), default=0)
    before, after = machine.load
    busy = "**The machine was busy with other work: not to be relied on.** "
    return (busy if before > machine.cores else "") + (
        f"{count} runs of each on {result.measured_at[:10]}, in {result.minutes:g} minutes; noise: "
        f"{', '.join(noise)}. Load {before:g} before, {after:g} after, on {machine.cores} x "
        f"{machine.processor}, {machine.memory_gb:g} GB, Linux {machine.kernel}; Slipway "
        f"{result.revision}."
    )
