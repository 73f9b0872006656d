"""Which platform a droplet had last, so that a build for it can begin before it is asked."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from deploy.target import Platform, Target


def known(root: Path, target: Target) -> Platform | None:
    """The one kept last; None if there is none."""
    path = _path(root, target)
    return Platform(**json.loads(path.read_text())) if path.exists() else None


def keep(root: Path, target: Target, droplet: Platform) -> None:
    """Keep it for the next time."""
    path = _path(root, target)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Another site of the droplet may be reading it.
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(asdict(droplet)))
    draft.rename(path)


def _path(root: Path, target: Target) -> Path:
    return root / ".slipway" / "platforms" / f"{target.host}.json"
