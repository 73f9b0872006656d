"""uv, which does the package work."""

from __future__ import annotations

import subprocess

import uv as uv_package

from deploy.errors import Refused


def uv(*args: str) -> None:
    """Run uv quietly.

    Raises:
        Refused: it failed, with what it said.
    """
    argv = (uv_package.find_uv_bin(), "--quiet", *args)
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        cause = " ".join(line.strip(" ×╰─▶") for line in said[:3])
        raise Refused(f"uv {args[0]} {args[1]} failed: {cause}", said)
