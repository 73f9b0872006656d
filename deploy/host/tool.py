"""The release tool as it travels: its files as one tar, and the name of what is in it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping


def pack(files: Mapping[str, bytes]) -> bytes:
    """A tar of path -> content; the same files always give the same bytes."""
    # Here, because a droplet that has the tool is only told its name.
    import tarfile

    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return raw.getvalue()


def digest(files: Mapping[str, bytes]) -> str:
    """The name of the folder that these files are unpacked in."""
    hasher = hashlib.sha256()
    for name, content in sorted(files.items()):
        hasher.update(f"{name}\0{len(content)}\0".encode() + content)
    return hasher.hexdigest()[:16]
