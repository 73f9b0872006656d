"""invoke bench: measure, and write the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table

from deploy.cli.task import ROOT, task
from deploy.console import Console
from deploy.errors import NeedsYou, Refused

if TYPE_CHECKING:
    from benchmarks.model import Benchmark

DOCS = ROOT / "docs"


@task(
    name="bench",
    positional=["name"],
    optional=["name"],
    help={
        "name": "names of benchmarks, separated by commas; default: all",
        "list": "name the benchmarks, and measure nothing",
        "write": "write the page from what was measured before, and measure nothing",
        "runs": "how often each contestant runs; 0: as often as the benchmark says",
        "droplet": "the lab's droplet to measure on; made when it is not there, and kept",
    },
)
def bench(
    console: Console,
    name: str | None = None,
    list: bool = False,
    write: bool = False,
    runs: int = 0,
    droplet: str = "bench",
    json: bool = False,
) -> None:
    """Measure this project and what one would pick instead; writes docs/benchmarks.md.

    Examples: invoke bench deploy-one-line; invoke bench --list; invoke bench --write
    """
    # Here, because every other task would wait for what only this one needs.
    from benchmarks import page, results
    from benchmarks.registry import BENCHMARKS

    known = {one.name: one for one in BENCHMARKS}
    chosen = [word for word in (name or "").split(",") if word] or [*known]
    for word in chosen:
        if word not in known:
            raise Refused(f"No benchmark {word}; there are: {', '.join(known)}")
    if runs < 0:
        raise Refused(f"--runs {runs} is no number of runs. Say how often, such as --runs 5")
    if list:
        table = Table("benchmark", "what", box=None, pad_edge=False, header_style="bold")
        for word in chosen:
            table.add_row(word, known[word].title)
        console.result(table, [{"name": word, "title": known[word].title} for word in chosen])
        return
    if not write:
        _measure(console, [known[word] for word in chosen], runs, droplet)
    measured = [(one, found) for one in BENCHMARKS if (found := results.read(one.name))]
    page.write(measured, DOCS)
    told = [asdict(found) for one, found in measured if one.name in chosen]
    console.result(f"{DOCS / 'benchmarks.md'} tells of {len(measured)} benchmarks", told)


def _measure(console: Console, chosen: Sequence[Benchmark], runs: int, droplet: str) -> None:
    from benchmarks import results
    from benchmarks.ground import Ground
    from benchmarks.model import Failed
    from benchmarks.running import carry_out
    from deploy.revision import git

    revision = git(ROOT, "describe", "--always", "--dirty", "--abbrev=7").stdout.strip()
    with Ground(droplet, console.note) as ground:
        for one in chosen:
            try:
                with console.phase(one.name):
                    found = carry_out(one, ground, runs or one.repeats, revision)
            except Failed as failure:
                raise NeedsYou(f"{one.name}: {failure.message}", failure.detail) from None
            results.write(found)
    console.note(f"the droplet stays: invoke lab.down --name {droplet}")
