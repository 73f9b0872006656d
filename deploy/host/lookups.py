"""What a program looks up for the facts, while the release tool is still being imported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from deploy.host.context import Context


@contextmanager
def begun(ctx: Context) -> Iterator[Callable[[], dict[str, Any]]]:
    """Tells the ``config`` version. A recovery leaves it as it is."""
    with ThreadPoolExecutor(1) as beside:
        config = beside.submit(ctx.units.config)
        yield lambda: {"config": config.result()}
