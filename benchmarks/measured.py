"""What the benchmarks share: a droplet to measure on, a work tree for it, medians, a table."""

import json
import os
import platform
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from rich.console import Console
from rich.table import Table

from lab import droplets
from tests.lab.inventories import hosts
from tests.lab.site import Site, clone_work_tree


@contextmanager
def site_of(name: str) -> Iterator[Site]:
    """The droplet, which must be up and provisioned, and a throwaway work tree that leads to it.

    What was deployed to it before is a rollback away, or an `invoke deploy`.
    """
    droplet = droplets.get(name)
    with TemporaryDirectory(prefix="slipway-benchmark-") as folder:
        site = Site(name, droplet.suite, droplet.address, Path(folder))
        clone_work_tree(site.clone)
        facts: dict[str, object] = {"ansible_host": droplet.address, "environment_name": name}
        inventory = site.clone / "inventory" / f"{name}.yml"
        inventory.write_text(f"---\n{yaml.safe_dump(hosts(name, facts))}")
        site.commit({}, "The work tree that is measured")
        yield site


def machine() -> str:
    """Where the figures are from."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    load = f"{os.getloadavg()[0]:.1f}"
    return f"{os.cpu_count()} x {model}, Linux {platform.release()}, load {load} at the end"


def median(values: Sequence[float]) -> float:
    return round(statistics.median(values), 3)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def show(title: str, rows: Sequence[Mapping[str, object]], facts: Mapping[str, object]) -> None:
    """A small table on standard error, and everything as JSON on standard output."""
    terminal = Console(stderr=True, highlight=False)
    table = Table(title=title, box=None, pad_edge=False, header_style="bold", title_justify="left")
    for name in rows[0]:
        table.add_column(name, justify="left" if name == next(iter(rows[0])) else "right")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    terminal.print(table)
    terminal.print(str(facts["machine"]))
    print(json.dumps(facts, indent=2))


def _cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
