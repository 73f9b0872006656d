"""The release tool as it travels: its files as one tar, named by that tar's digest."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping


def pack(files: Mapping[str, bytes]) -> bytes:
    """A tar of path -> content; the same files always give the same bytes."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return raw.getvalue()


def digest(files: Mapping[str, bytes]) -> str:
    """The name of the folder that these files are unpacked in."""
    return hashlib.sha256(pack(files)).hexdigest()[:16]
