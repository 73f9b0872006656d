"""Command lines for the droplet. They are built here and run by the runner."""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath

from deploy.target import Target

# What the shell below answers when the droplet does not have this release tool yet.
TOOL_MISSING = "tool missing"
NOT_PROVISIONED = "not provisioned"


def serve(target: Target, digest: str) -> str:
    """Start the release tool, or say that it is missing."""
    folder = shlex.quote(str(PurePosixPath(target.root) / "tools" / digest))
    return (
        f"if [ -e {folder}/__main__.py ]; "
        f"then exec /usr/bin/python3 -I {folder} {shlex.quote(target.app)} serve; "
        f"else echo {TOOL_MISSING}; fi"
    )


def install_tool(target: Target, digest: str) -> str:
    """Unpack the release tool from standard input, in one rename, and link it for people."""
    root = shlex.quote(target.root)
    return (
        f"cd {root} 2>/dev/null && [ -w tools ] || {{ echo {NOT_PROVISIONED}; exit 0; }}; "
        "umask 022 && draft=$(mktemp -d tools/.XXXXXX) && chmod 755 $draft && "
        "tar -xzf - -C $draft && sync -f $draft && "
        f"{{ mv -T $draft tools/{digest} 2>/dev/null || rm -rf $draft; }} && "
        f"ln -sfn tools/{digest} .tool && mv -T .tool tool"
    )
