"""uv, which does the package work."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import uv as uv_package

from deploy.errors import Refused
from deploy.target import Platform

# The oldest glibc of the droplets we support is 2.36 (Debian 12); wheels are rarely built for
# anything newer than this tag, which is Debian 10's.
WHEEL_GLIBC = "2_28"
DROPLET_GLIBC = 36
# What a compiled module asks of the C library.
GLIBC = re.compile(rb"GLIBC_2\.(\d+)")
_FINDING = threading.Lock()
OTHER_PYTHON = re.compile(r"built wheel `([^-]+)-\S+` is not compatible")
# Wheels of an index name the oldest glibc they run with; what was compiled here cannot.
COMPILED_HERE = re.compile(r"^Tag: .*-linux_", re.MULTILINE)


def uv(*args: str) -> None:
    """Run uv quietly.

    Raises:
        Refused: it failed, with what it said.
    """
    # Python 3.11 fills what uv looks into without a lock, and may show another thread half of it.
    with _FINDING:
        program = uv_package.find_uv_bin()
    argv = (program, "--quiet", *args)
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        cause = _unwrapped(said[:3])
        raise Refused(f"uv {args[0]} {args[1]} failed: {cause}", said)


def for_droplet(droplet: Platform) -> tuple[str, ...]:
    """uv's options that choose wheels for a droplet."""
    platform = f"{droplet.machine}-manylinux_{WHEEL_GLIBC}"
    return ("--python-version", droplet.python, "--python-platform", platform)


def unpack(
    requirements: Path, droplet: Platform, folder: Path, note: Callable[[str], None]
) -> None:
    """Put the locked packages for the droplet's Python into a folder.

    A package that comes as source alone is built on this machine.

    Args:
        requirements: packages with their hashes.
        note: told what was compiled.

    Raises:
        Refused: one cannot be had, or what was compiled here would not run on the droplet.
    """
    try:
        uv(
            "pip", "install", "--target", str(folder), "--require-hashes", *for_droplet(droplet),
            "--requirement", str(requirements),
        )  # fmt: skip
    except Refused as error:
        other = OTHER_PYTHON.search(_unwrapped(error.detail))
        if not other:
            raise
        raise Refused(
            f"{other[1]} has no wheel for Python {droplet.python} on {droplet.machine}, and what "
            "is compiled on this machine is for another. Name a package with a wheel (such as "
            f"psycopg2-binary for psycopg2), or build where Python is {droplet.python}"
        ) from None
    # Scripts with this machine's paths, and their digests; the droplet writes its own.
    shutil.rmtree(folder / "bin", ignore_errors=True)
    for record in folder.glob("*.dist-info/RECORD"):
        lines = record.read_text().splitlines(keepends=True)
        rest = [line for line in lines if not line.startswith("bin/")]
        # Of an earlier build it is a link, and not to be written into.
        if rest != lines:
            record.write_text("".join(rest))
    (folder / ".lock").unlink(missing_ok=True)
    for package, modules in _compiled(folder):
        needed = max((glibc_of(module.read_bytes()) for module in modules), default=0)
        if needed > DROPLET_GLIBC:
            raise Refused(
                f"{package} has no wheel, and compiled on this machine it needs glibc 2.{needed}, "
                f"newer than a droplet's. Build on Debian 12, or name a package with a wheel"
            )
        note(f"{package} was compiled here; libraries it needs go to site_packages")


def _unwrapped(lines: Sequence[str]) -> str:
    """What uv said, as one line."""
    return " ".join(line.strip(" ×╰─▶│") for line in lines)


def glibc_of(module: bytes) -> int:
    """The minor version of the glibc 2 that a compiled module needs."""
    return max(map(int, GLIBC.findall(module)), default=0)


def _compiled(folder: Path) -> Iterator[tuple[str, list[Path]]]:
    """Packages that were compiled on this machine, with their modules."""
    for wheel in sorted(folder.glob("*.dist-info/WHEEL")):
        if COMPILED_HERE.search(wheel.read_text()):
            record = (wheel.parent / "RECORD").read_text().splitlines()
            paths = [line.partition(",")[0] for line in record]
            modules = [folder / path for path in paths if path.endswith(".so")]
            yield wheel.parent.name.removesuffix(".dist-info").replace("-", " "), modules
