"""The release tool as it travels: deploy/host/ packed, named by its digest."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from deploy.host import tool as packing

PACKAGE = Path(__file__).parent
ENTRY = "import sys\n\nfrom deploy.host.main import main\n\nsys.exit(main(sys.argv[1:]))\n"


@dataclass(frozen=True)
class Tool:
    """A gzipped tar of the release tool; the same code always has the same digest."""

    digest: str
    pack: bytes


@cache
def tool() -> Tool:
    """Pack deploy/host/ so that `python3 FOLDER` runs it."""
    files = {"__main__.py": ENTRY.encode(), "deploy/__init__.py": b""}
    for path in sorted((PACKAGE / "host").rglob("*.py")):
        files[f"deploy/{path.relative_to(PACKAGE)}"] = path.read_bytes()
    return Tool(packing.digest(files), gzip.compress(packing.pack(files), mtime=0))
