"""The references' own programs on the controller, each locked, in an environment of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import uv

from audits.errors import AuditError

# What is locked there, by the tool's name; and what is made of it.
LOCKS = Path("audits") / "tools"
MADE = Path(".slipway") / "tools"
OBSERVATORY = Path("node_modules") / "@mdn" / "mdn-http-observatory"


def run(
    argv: Sequence[str | Path], environment: Mapping[str, str] | None = None, seconds: int = 600
) -> subprocess.CompletedProcess[str]:
    """Run a program here, whatever its exit code.

    Raises:
        AuditError: it did not end within ``seconds``.
    """
    try:
        return subprocess.run(
            [str(word) for word in argv],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise AuditError(f"{argv[0]} did not end within {seconds} s. Try again") from None


def python_tool(root: Path, name: str) -> Path:
    """The command ``name`` of the packages in its lock file, installed when that changed.

    Raises:
        AuditError: a package cannot be had, or is not the locked one.
    """
    lock = root / LOCKS / name / "requirements.txt"

    def make(folder: Path) -> None:
        program = uv.find_uv_bin()
        _must(name, (program, "venv", "--quiet", folder))
        sync = ("pip", "sync", "--quiet", "--system-certs", "--require-hashes", lock)
        _must(name, (program, *sync), {"VIRTUAL_ENV": str(folder)})

    return _made(root, name, lock, make) / "bin" / name


def observatory(root: Path) -> Path:
    """The folder of the HTTP Observatory, installed when its lock file changed. Needs npm.

    Raises:
        AuditError: a package cannot be had, or is not the locked one.
    """
    source = root / LOCKS / "observatory"

    def make(folder: Path) -> None:
        folder.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, folder)
        # No package's own script runs. One of them would fetch lists of the public internet, of
        # which the scan reads one: the preloaded names.
        _must("observatory", ("npm", "ci", "--ignore-scripts", "--prefix", folder))
        (folder / OBSERVATORY / "conf" / "hsts-preload.json").write_text("{}")

    return _made(root, "observatory", source / "package-lock.json", make) / OBSERVATORY


def _made(root: Path, name: str, lock: Path, make: Callable[[Path], None]) -> Path:
    """What ``make`` made of this very lock file, now or before."""
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    folder = root / MADE / f"{name}-{digest}"
    # An environment cannot be moved, so a mark tells a whole one from one that was broken off.
    whole = folder / ".whole"
    if not whole.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        for outdated in folder.parent.glob(f"{name}-*"):
            shutil.rmtree(outdated)
        make(folder)
        whole.touch()
    return folder


def _must(
    name: str, argv: Sequence[str | Path], environment: Mapping[str, str] | None = None
) -> None:
    done = run(argv, environment)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise AuditError(f"{name} could not be installed from {LOCKS / name}: {said}")
