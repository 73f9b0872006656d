"""How many Gunicorn workers a droplet carries."""

from __future__ import annotations

from typing import Any

# A preloaded worker of a Django site measured 40 to 60 MB; two releases run beside each other
# while one takes over, and PostgreSQL and the kernel want their half.
WORKER_MB = 64
SHARE_OF_MEMORY = 4


def gunicorn_workers(cpus: int, memory_mb: int) -> int:
    """One worker for each processor, two at least, as far as that many MB allow."""
    affordable = max(1, memory_mb // SHARE_OF_MEMORY // WORKER_MB)
    return min(max(2, cpus), affordable)


class FilterModule:
    """Filters of this role."""

    def filters(self) -> dict[str, Any]:
        return {"gunicorn_workers": gunicorn_workers}
