"""Run a load on the droplet itself, and count what its servers need for it.

    python3 load.py '{"units": ["nginx.service"], "argv": ["h2load", ...], "split": true}'

``split`` gives the servers the first processor and the load the second, so that the load does not
take from them what is counted. The answer is JSON: ``output`` of the load, ``seconds`` it took, and
``cpu``, unit -> seconds of processor time of all its processes. Standard library only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

HIERARCHY = Path("/sys/fs/cgroup")
CPUCLOCK_SCHED = 2


def processes(unit: str) -> list[int]:
    asked = ("systemctl", "show", "--value", "--property=ControlGroup", unit)
    group = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    if not group:
        sys.exit(f"{unit} does not run")
    # Where cgroup v1 and v2 are both mounted, systemd's own is v1's.
    named = HIERARCHY / "systemd"
    found = (named if named.exists() else HIERARCHY) / group.lstrip("/")
    return [int(line) for path in found.rglob("cgroup.procs") for line in path.read_text().split()]


def cpu_seconds(pids: Iterable[int]) -> float:
    """Of the processes and of those of their children that have ended."""
    seconds = 0.0
    for pid in pids:
        try:
            # The clock of another process, in nanoseconds: clock_getcpuclockid(3), as Linux makes
            # its number. What /proc says comes in hundredths of a second.
            seconds += time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED)
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ended = sum(map(int, fields[13:15]))  # cutime, cstime: proc_pid_stat(5)
        seconds += ended / os.sysconf("SC_CLK_TCK")
    return seconds


def hold(pids: Iterable[int], cpus: set[int]) -> None:
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), cpus)


def main() -> None:
    wanted = json.loads(sys.argv[1])
    units = {unit: processes(unit) for unit in wanted["units"]}
    everything = os.sched_getaffinity(0)
    first, *others = sorted(everything)
    split = wanted["split"] and others
    held = [pid for pids in units.values() for pid in pids]
    if split:
        hold(held, {first})
        os.sched_setaffinity(0, others)
    try:
        before = {unit: cpu_seconds(pids) for unit, pids in units.items()}
        begun = time.monotonic()
        done = subprocess.run(wanted["argv"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=120)  # fmt: skip
        seconds = time.monotonic() - begun
        cpu = {unit: cpu_seconds(processes(unit)) - before[unit] for unit in units}
    finally:
        if split:
            hold(held, everything)
    print(
        json.dumps({"output": done.stdout, "code": done.returncode, "seconds": seconds, "cpu": cpu})
    )


main()
