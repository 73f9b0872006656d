"""Files that are whole or absent, and locks that die with their holder."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import paths


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace path by text in one rename; its folder is made when missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as stream:
        os.fchmod(stream.fileno(), mode)
        stream.write(text)
    draft.rename(path)


def read(path: Path) -> str | None:
    """The text of path, or None when there is no such file."""
    try:
        return path.read_text()
    except (FileNotFoundError, NotADirectoryError):
        return None


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold the lab's lock of that name; the kernel lets go of it when the process ends."""
    paths.LOCKS.mkdir(parents=True, exist_ok=True)
    with (paths.LOCKS / name).open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Waiting for another lab command to let go of {name}", file=sys.stderr)
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
