"""All benchmarks, in the order of the page."""

from __future__ import annotations

from benchmarks.model import Benchmark
from benchmarks.suites import deploys, growth, provisioning, switching

BENCHMARKS: tuple[Benchmark, ...] = (
    *deploys.BENCHMARKS,
    *switching.BENCHMARKS,
    *growth.BENCHMARKS,
    *provisioning.BENCHMARKS,
)
