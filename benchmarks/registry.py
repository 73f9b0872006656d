"""All benchmarks, in the order of the page."""

from __future__ import annotations

from benchmarks.model import Benchmark
from benchmarks.suites import (
    backups,
    catalogue,
    deploys,
    dynamic,
    growth,
    memory,
    provisioning,
    static_files,
    switching,
)

BENCHMARKS: tuple[Benchmark, ...] = (
    *deploys.BENCHMARKS,
    *switching.BENCHMARKS,
    *growth.BENCHMARKS,
    *provisioning.BENCHMARKS,
    *static_files.BENCHMARKS,
    *dynamic.BENCHMARKS,
    *catalogue.BENCHMARKS,
    *memory.BENCHMARKS,
    *backups.BENCHMARKS,
)
