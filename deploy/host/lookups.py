"""What programs look up for the facts, while the release tool is still being imported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from deploy.host import certificates
from deploy.host.context import Context


@contextmanager
def begun(ctx: Context) -> Iterator[Callable[[], dict[str, Any]]]:
    """Tells the ``certificate`` and the ``config`` version. A recovery leaves both as they are."""
    with ThreadPoolExecutor(2) as beside:
        certificate = beside.submit(certificates.shown, ctx.site.domain)
        config = beside.submit(ctx.units.config)
        yield lambda: {"certificate": certificate.result(), "config": config.result()}
