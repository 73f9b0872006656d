"""PostgreSQL's memory settings from the memory of the droplet.

The shares are those of PostgreSQL's own manual, "Resource Consumption" (a quarter of the memory for
shared_buffers) and "Query Planning" (effective_cache_size: what PostgreSQL and the kernel may keep
cached), made smaller where the app lives on the same droplet; the clamps keep small and large
droplets within what is known to work.
"""

from __future__ import annotations

from typing import Any


def _clamp(value: int, lowest: int, highest: int) -> int:
    return max(lowest, min(value, highest))


def postgres_memory(memory_mb: int, max_connections: int) -> dict[str, str]:
    """Settings by name, each with its unit, for that many MB and connections."""
    return {
        "shared_buffers": f"{_clamp(memory_mb // 4, 64, 16384)}MB",
        "effective_cache_size": f"{_clamp(memory_mb // 2, 128, 131072)}MB",
        # Each connection may use it more than once, so an eighth is spread over all of them.
        "work_mem": f"{_clamp(memory_mb * 1024 // 8 // max_connections, 2048, 65536)}kB",
        "maintenance_work_mem": f"{_clamp(memory_mb // 16, 32, 2048)}MB",
    }


class FilterModule:
    """Filters of this role."""

    def filters(self) -> dict[str, Any]:
        return {"postgres_memory": postgres_memory}
