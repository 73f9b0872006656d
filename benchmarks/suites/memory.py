"""What a whole droplet keeps in memory, in one as small as one rents."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import yaml

from benchmarks.clock import must
from benchmarks.ground import Ground
from benchmarks.model import OURS, Benchmark, Contestant, Figures, Measure, Run, Target, median
from benchmarks.peers import new_line
from benchmarks.peers.slipway import Slipway
from lab import droplets
from tests.lab.faults.visitors import Visitors, lost
from tests.lab.inventories import hosts

# Contestant -> MiB of its droplet.
DROPLETS: Mapping[str, int] = {OURS: 1024, "512 MB": 512}
LOOK_SECONDS = 0.05
REST_SECONDS = 20.0
BOOT_SECONDS = 90.0
VISITORS_PER_SECOND = 20.0
# What cannot be dropped and read again; shared memory is counted as anonymous.
KEPT = ("total_inactive_anon", "total_active_anon", "total_unevictable")


class Memory:
    """The droplet's control group of memory, which the limit is set on."""

    def __init__(self, name: str) -> None:
        listed = droplets.get(name).paths.cgroups.read_text().splitlines()
        (self._group,) = [Path(line) for line in listed if "/memory/" in line]

    def limit(self, mib: int) -> None:
        """At most so many MiB, page cache included; -1 ends it."""
        size = mib if mib < 0 else mib * 2**20
        (self._group / "memory.limit_in_bytes").write_text(str(size))

    @property
    def kept(self) -> float:
        """MB that are in use and cannot be read again from a file."""
        lines = map(str.split, (self._group / "memory.stat").read_text().splitlines())
        return sum(int(size) for name, size in lines if name in KEPT) / 1e6

    @property
    def killed(self) -> int:
        """Processes that the kernel has ended here for want of memory."""
        told = [path.read_text().split() for path in self._group.rglob("memory.oom_control")]
        return sum(int(words[words.index("oom_kill") + 1]) for words in told)


@contextmanager
def highest(memory: Memory) -> Iterator[list[float]]:
    """The most that was kept while the block ran, as the list's only element after it."""
    looks, over = [memory.kept], threading.Event()

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            looks.append(memory.kept)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield looks
    finally:
        over.set()
        thread.join()
        looks[:] = [max(looks)]


def run(ground: Ground, ours: Slipway, memory: Memory, mib: int) -> Figures:
    """Provision for that much, boot within it, rest, and deploy under visitors' eyes."""
    site, env = ground.site, f"memory-{mib}"
    memory.limit(-1)
    must(site.play(env=env))
    memory.limit(mib)
    droplets.reboot(site.name)
    site.wait_until_up(BOOT_SECONDS)
    before = memory.killed
    with Visitors(site, rate=VISITORS_PER_SECOND) as visitors:
        visitors.wait_for(REST_SECONDS)
        rest = memory.kept
        ours.change(new_line())
        with highest(memory) as deploy:
            must(site.invoke("deploy", env=env))
        with highest(memory) as backup:
            must(site.invoke("backup", env=env))
    return {
        "rest": rest,
        "deploy": deploy[0],
        "backup": backup[0],
        "killed": memory.killed - before,
        "failed": len(lost(visitors.history)),
    }


def write_inventories(ground: Ground, sizes: Sequence[int]) -> None:
    """One for each size; the roles take it from there instead of the machine's own memory."""
    site = ground.site
    for mib in sizes:
        facts: dict[str, object] = {
            "ansible_host": site.address,
            "environment_name": site.name,
            "site_domains": [site.domain],
            "app_memory_mb": mib,
            "postgres_memory_mb": mib,
        }
        inventory = site.clone / "inventory" / f"memory-{mib}.yml"
        inventory.write_text(f"---\n{yaml.safe_dump(hosts(site.name, facts))}")
    site.commit({}, "Inventories of small droplets")


@contextmanager
def open_(ground: Ground) -> Iterator[Mapping[str, Run | str]]:
    ours, memory = ground.once(Slipway), Memory(ground.site.name)
    write_inventories(ground, list(DROPLETS.values()))
    try:
        yield {name: partial(run, ground, ours, memory, mib) for name, mib in DROPLETS.items()}
    finally:
        memory.limit(-1)
        must(ground.site.play())


def three_quarters(contestant: str) -> Target:
    mib = DROPLETS[contestant]
    return Target(
        f"A quarter of {mib} MiB is free at every moment",
        lambda medians: max(medians[contestant][name] for name in ("rest", "deploy", "backup")),
        at_most=mib * 2**20 / 1e6 * 0.75,
        unit="MB",
        digits=0,
    )


BENCHMARKS = (
    Benchmark(
        name="memory",
        title="Memory of a whole droplet",
        about=(
            "Everything that runs on it, systemd, PostgreSQL, Nginx, fail2ban and the site with "
            "all its workers, booted within a limit as the kernel of so small a droplet would "
            "set it. What is counted is memory that cannot be dropped and read again; the most "
            "of it in a deploy, when two releases run side by side, and in a full backup, with "
            f"{VISITORS_PER_SECOND:g} visitors a second meanwhile."
        ),
        contestants=(
            Contestant(OURS, "a droplet of 1 GB"),
            Contestant("512 MB", "a droplet of 512 MB"),
        ),
        measures=(
            Measure("deploy", "MB at most", digits=0),
            Measure("rest", "MB", digits=0),
            Measure("backup", "MB at most", digits=0),
            Measure("killed", "processes", digits=0),
            Measure("failed", "requests", digits=0),
        ),
        targets=(
            *map(three_quarters, DROPLETS),
            *(
                Target(
                    f"Nothing is killed for want of memory ({title})",
                    median(name, "killed"),
                    at_most=0,
                    digits=0,
                )
                for name, title in ((OURS, "1 GB"), ("512 MB", "512 MB"))
            ),
        ),
        open=open_,
    ),
)
