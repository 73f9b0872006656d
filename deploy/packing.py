"""Objects on their way: a gzipped tar, piece by piece."""

from __future__ import annotations

import gzip
import os
import tarfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from deploy.host.objects import digest

PIECE = 1 << 20
# gzip's levels: a third of the time for a sixth more to send, and its usual one.
QUICK, THOROUGH = 1, 6


def object_name(path: Path) -> str:
    """What names a file by its content and its mode (:mod:`deploy.host.objects`)."""
    name = digest(path)
    return f"{name}x" if os.access(path, os.X_OK) else name


def pack(files: Iterable[tuple[str, Path]]) -> Iterator[bytes]:
    """Files under other names, to be sent while the rest is packed.

    The link decides how hard it is squeezed: where a piece takes longer to be taken than to be
    made, the next one is made smaller.
    """
    level = QUICK
    for piece in _pieces(_tar(files)):
        begun = time.monotonic()
        squeezed = gzip.compress(piece, level, mtime=0)
        made = time.monotonic()
        yield squeezed
        level = THOROUGH if time.monotonic() - made > made - begun else QUICK


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    waiting = bytearray()
    for chunk in chunks:
        waiting += chunk
        if len(waiting) >= PIECE:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting)


def _tar(files: Iterable[tuple[str, Path]]) -> Iterator[bytes]:
    """A tar that says nothing of its files but name and content: tarfile's own takes twice as long.

    Raises:
        OSError: one is not there, or shorter than it was a moment ago.
    """
    for name, path in files:
        with path.open("rb") as file:
            entry = tarfile.TarInfo(name)
            left = entry.size = os.fstat(file.fileno()).st_size
            yield entry.tobuf(tarfile.USTAR_FORMAT)
            while left:
                chunk = file.read(min(left, PIECE))
                if not chunk:
                    raise OSError(f"{path} became shorter while it was sent")
                left -= len(chunk)
                yield chunk
            yield bytes(-entry.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)
