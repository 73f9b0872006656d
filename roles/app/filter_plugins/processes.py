"""How many processes of a site a droplet runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

# A preloaded worker of a Django site measured 40 to 60 MB; two releases run beside each other
# while one takes over, and PostgreSQL and the kernel want their half.
WORKER_MB = 64
SHARE_OF_MEMORY = 4
# A deploy runs the one, and the unit of the other is the site itself.
NO_INSTANCE = ("web", "release")


def gunicorn_workers(cpus: int, memory_mb: int) -> int:
    """One worker for each processor, two at least, as far as that many MB allow."""
    affordable = max(1, memory_mb // SHARE_OF_MEMORY // WORKER_MB)
    return min(max(2, cpus), affordable)


def process_instances(processes: Mapping[str, Any]) -> list[str]:
    """The names of what runs beside web: ``{"worker": 2}`` is worker and worker.2.

    Raises:
        AnsibleFilterError: a number is none.
    """
    names = []
    for process, count in processes.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise AnsibleFilterError(
                f"site_processes: {process}: {count!r} is no number of processes, such as "
                f"{process}: 1"
            )
        if process not in NO_INSTANCE:
            names += [process if n == 1 else f"{process}.{n}" for n in range(1, count + 1)]
    return names


class FilterModule:
    """Filters of this role."""

    def filters(self) -> dict[str, Any]:
        return {"gunicorn_workers": gunicorn_workers, "process_instances": process_instances}
