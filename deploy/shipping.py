"""The release tool as it travels: deploy/host/ packed, named by its digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from deploy.host import tool as packing

PACKAGE = Path(__file__).parent
# What is imported is no garbage to be looked for, not even at the end.
ENTRY = """\
import gc
import sys

gc.set_threshold(100_000)

from deploy.host.main import main

code = main(sys.argv[1:])
gc.freeze()
sys.exit(code)
"""


@dataclass(frozen=True)
class Tool:
    """The release tool's files; the same code always has the same digest."""

    digest: str
    files: Mapping[str, bytes]

    @property
    def pack(self) -> bytes:
        """A gzipped tar of them."""
        import gzip

        return gzip.compress(packing.pack(self.files), mtime=0)


@cache
def tool() -> Tool:
    """deploy/host/, so that `python3 FOLDER` runs it."""
    files = {"__main__.py": ENTRY.encode(), "deploy/__init__.py": b""}
    for path in sorted((PACKAGE / "host").rglob("*.py")):
        files[f"deploy/{path.relative_to(PACKAGE)}"] = path.read_bytes()
    return Tool(packing.digest(files), files)
