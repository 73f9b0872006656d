"""The machine the lab runs on: whether it can, and what the lab changed on it."""

import json
import os
import platform
import shutil
import tempfile
from pathlib import Path

from lab import files, network, paths
from lab.errors import LabError
from lab.process import boot_id
from lab.run import run

# What this host was like before the first droplet, to be put back after the last.
BEFORE = paths.RUN / "host.json"
TMPFS = "slipway-lab"
ROOT = "The lab needs root: droplets have namespaces, mounts and a bridge of their own. Try: sudo"


def packages(text: str) -> list[str]:
    """The names in packages.txt."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def missing_packages() -> list[str]:
    """Packages of packages.txt that are not installed."""
    wanted = packages(paths.PACKAGES.read_text())
    said = run(
        *("dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *wanted),
        warn=True,
    ).stdout
    installed = {line.split()[0] for line in said.splitlines() if line.endswith(" installed")}
    return [name for name in wanted if name not in installed]


def can_run() -> str | None:
    """None when droplets can run here, else one sentence that says why not."""
    if platform.system() != "Linux":
        return f"The lab needs Linux, and this is {platform.system()}."
    if os.geteuid() != 0:
        return ROOT
    if not shutil.which("dpkg-query"):
        return (
            "The lab needs a Debian (or Ubuntu) host: it builds its droplets with Debian's tools."
        )
    if lacking := missing_packages():
        return (
            f"The lab lacks {len(lacking)} package(s). "
            f"Run: apt-get install --no-install-recommends {' '.join(lacking)}"
        )
    return kernel_objection()


def kernel_objection() -> str | None:
    """Try, for a moment, what each droplet needs of the kernel."""
    paths.STATE.mkdir(parents=True, exist_ok=True)
    unshared = run("unshare", "--net", "--pid", "--fork", "--mount", "true", warn=True)
    if not unshared.ok:
        return f"The lab needs namespaces, which this host refuses: {last(unshared.stderr)}"
    with tempfile.TemporaryDirectory(prefix="probe-", dir=paths.STATE) as folder:
        for name in ("lower", "upper", "work", "root"):
            (Path(folder) / name).mkdir()
        mounted = run(
            *("unshare", "--mount", "mount", "-t", "overlay", "overlay", "-o"),
            f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work",
            f"{folder}/root",
            warn=True,
        )
    if not mounted.ok:
        return f"The lab needs overlayfs over {paths.STATE}, and gets: {last(mounted.stderr)}"
    return None


def last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


def require() -> None:
    """Raise LabError when droplets cannot run here."""
    if reason := can_run():
        raise LabError(reason)


def require_root() -> None:
    """Raise LabError when droplets that exist cannot be touched by this user."""
    if os.geteuid() != 0:
        raise LabError(ROOT)


def prepare() -> None:
    """Make the host ready for droplets, once its state before is written down."""
    if before().get("boot") != boot_id():
        facts = {
            "boot": boot_id(),
            "ip_forward": network.forwarding(),
            "netns_mounted": mount_type(paths.NETNS) is not None,
        }
        files.write(BEFORE, json.dumps(facts) + "\n")
    # nspawn hands mounts to its droplets through this folder and wants a tmpfs there.
    paths.NSPAWN_RUN.mkdir(parents=True, exist_ok=True)
    if run("stat", "--file-system", "--format=%T", str(paths.NSPAWN_RUN)).stdout.strip() != "tmpfs":
        run("mount", "-t", "tmpfs", "-o", "mode=0755", TMPFS, str(paths.NSPAWN_RUN))
    network.ensure_bridge()


def restore() -> None:
    """Take back what `prepare` did."""
    network.remove_bridge()
    known = before()
    if known.get("boot") == boot_id():
        network.forwarding(known["ip_forward"])
        if (
            not known["netns_mounted"]
            and mount_type(paths.NETNS)
            and not any(paths.NETNS.iterdir())
        ):
            run("umount", str(paths.NETNS), warn=True)
    if mount_source(paths.NSPAWN_RUN) == TMPFS:
        run("umount", "--recursive", str(paths.NSPAWN_RUN))
    BEFORE.unlink(missing_ok=True)


def before() -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(files.read(BEFORE) or "{}")
    except ValueError:
        return {}
    return found


def mounts() -> list[tuple[Path, str, str]]:
    """Mount point, type and source of everything mounted here."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, source, *_ = right.split()
        found.append((Path(left.split()[4]), kind, source))
    return found


def mount_type(point: Path) -> str | None:
    return next((kind for place, kind, _ in reversed(mounts()) if place == point), None)


def mount_source(point: Path) -> str | None:
    return next((source for place, _, source in reversed(mounts()) if place == point), None)
