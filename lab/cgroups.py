"""One control group per droplet: nspawn builds the droplet's tree below it, and a test can set
limits on it (a memory limit there gives the droplet a real out-of-memory kill)."""

import contextlib
import os
from pathlib import Path

from lab import files
from lab.process import wait_for

# Hierarchies of cgroup v1 that get a group; "" is v2's single one.
WANTED = ("name=systemd", "memory", "pids", "")


def mounted(mountinfo: str) -> dict[str, Path]:
    """Controller ("" for v2) -> mount point, from the text of /proc/self/mountinfo."""
    found: dict[str, Path] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split()[:3]
        point = Path(before.split()[4])
        if kind == "cgroup2":
            found.setdefault("", point)
        elif kind == "cgroup":
            for option in options.split(","):
                found.setdefault(option, point)
    return found


def groups(name: str, own: str, points: dict[str, Path]) -> list[Path]:
    """The droplet's groups, below those of the calling process (`own` = /proc/self/cgroup).

    Below, so that a limit set on the caller holds for its droplets too.
    """
    found = []
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            if controller in WANTED and controller in points:
                found.append(points[controller] / path.lstrip("/") / f"slipway-{name}")
    return found


def enter(name: str, record: Path) -> None:
    """Move this process into the droplet's groups; record keeps their paths for `remove`."""
    chosen = groups(
        name,
        Path("/proc/self/cgroup").read_text(),
        mounted(Path("/proc/self/mountinfo").read_text()),
    )
    files.write(record, "".join(f"{group}\n" for group in chosen))
    for group in chosen:
        group.mkdir(exist_ok=True)
        (group / "cgroup.procs").write_text(str(os.getpid()))


def remove(record: Path) -> None:
    """Remove the groups named in record, innermost first. Their processes are dead already."""
    left = [Path(line) for line in (files.read(record) or "").splitlines()]

    def removed() -> bool:
        for group in left:
            for folder, _, _ in os.walk(group, topdown=False):
                # A group stays busy until its last dead process is reaped.
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
        return not any(group.exists() for group in left)

    wait_for(removed, 10, f"the control groups in {record} to empty")
    record.unlink(missing_ok=True)
