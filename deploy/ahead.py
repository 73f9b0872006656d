"""A build that runs while the connection is made."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.revision import Revision
from deploy.target import Platform, Target

if TYPE_CHECKING:
    from deploy.artifact import Artifact

# A thread that only computes gives way to the one that makes the connection after this time; 5 ms
# is what Python has.
SWITCH_SECONDS = 0.0005


class Ahead:
    """The build of a revision, begun for the platform that the droplet had last.

    Args:
        root: keeps what was built, and which platform it was for.
        begin: False waits until the platform is known.
    """

    def __init__(self, root: Path, target: Target, revision: Revision, begin: bool = True) -> None:
        self._kept = root / ".slipway" / "platforms" / f"{target.host}.json"
        self._root = root
        self._target = target
        self._revision = revision
        self._notes: list[str] = []
        self._guess: Platform | None = None
        if begin and self._kept.exists():
            sys.setswitchinterval(SWITCH_SECONDS)
            self._guess = Platform(**json.loads(self._kept.read_text()))
            self._artifact = ThreadPoolExecutor(1).submit(self._build, self._guess)

    def artifact(self, droplet: Platform, note: Callable[[str], None]) -> Artifact:
        """The artifact for that platform: the one that was built ahead, or one built now."""
        if droplet == self._guess:
            artifact = self._artifact.result()
        else:
            artifact = self._build(droplet)
            self._kept.parent.mkdir(parents=True, exist_ok=True)
            # Another site of the droplet may be reading it.
            draft = self._kept.with_name(f".{self._kept.name}.{os.getpid()}")
            draft.write_text(json.dumps(asdict(droplet)))
            draft.rename(self._kept)
        for text in (*self._notes, *artifact.warnings):
            note(text)
        return artifact

    def _build(self, droplet: Platform) -> Artifact:
        # Here, because the droplet can be asked meanwhile.
        from deploy.build import build

        return build(self._root, self._revision, self._target, droplet, self._notes.append)
