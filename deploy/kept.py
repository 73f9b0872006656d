"""Folders that builds made and later builds use again."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

KEPT_BUILDS = 5
# Says of a folder that cannot be renamed into place that all of it is there.
WHOLE = ".whole"
LEAVING = ".leaving."
REMOVE = 'rm -rf -- "$@" >/dev/null 2>&1 </dev/null &'


def kept(path: Path, make: Callable[[Path], None], movable: bool = True) -> Path:
    """The folder ``path``, made by ``make`` when it is not there, whole or not at all.

    Args:
        movable: False for folders that know their own path (virtual environments); a marker
            file then says that they are whole.
    """
    marker = path / WHOLE
    if path.exists() and (movable or marker.exists()):
        _use(path)
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    if movable:
        draft = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            make(draft)
            draft.chmod(0o755)
            # Another build may have been faster; its result is the same.
            if not path.exists():
                draft.rename(path)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    else:
        with _alone(path):
            # Another build may have made it meanwhile, for another site.
            if not marker.exists():
                shutil.rmtree(path, ignore_errors=True)
                make(path)
                marker.touch()
    _use(path)
    _forget_old(path.parent)
    return path


def newest_first(draft: Path) -> list[Path]:
    """The folders beside one that is being made, the one used last before the others."""
    found = [path for path in draft.parent.glob("[!.]*") if path.is_dir() and path != draft]
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One build at a time makes the folder: it is made where it will be."""
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _use(path: Path) -> None:
    """Used now. The kernel's own stamp is as coarse as its clock's tick: two in one would tie."""
    now = time.time_ns()
    os.utime(path, ns=(now, now))


def _forget_old(folder: Path) -> None:
    """Keep the builds used last; nobody waits for the others to be gone."""
    found = {path for path in folder.iterdir() if path.is_dir()}
    # Also those that a removal before this one was kept from.
    leaving = {path for path in found if path.name.startswith(LEAVING)}
    builds = sorted(found - leaving, key=lambda path: path.stat().st_mtime)
    for path in builds[:-KEPT_BUILDS]:
        # Half a folder under its own name would be taken for a whole one. Another build may have
        # removed it.
        with suppress(FileNotFoundError):
            leaving.add(path.rename(path.with_name(f"{LEAVING}{path.name}.{time.time_ns()}")))
    if leaving:
        # Some have ten thousand files. The program takes a third of the time of shutil.
        subprocess.run(("/bin/sh", "-c", REMOVE, "rm", *leaving), check=True)
