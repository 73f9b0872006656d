"""A build that runs beside the conversation, and begins before it where it can."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy import platforms
from deploy.revision import Revision
from deploy.target import Platform, Target

if TYPE_CHECKING:
    from deploy.artifact import Artifact, Packages

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
        self._root = root
        self._target = target
        self._revision = revision
        self._notes: list[str] = []
        self._droplet: Platform | None = None
        if begin and (known := platforms.known(root, target)):
            self._begin(known)

    def packages(self, droplet: Platform) -> Packages | None:
        """The packages for that platform, once they are unpacked; None if the build has ended."""
        self._know(droplet)
        either: tuple[Future[Any], ...] = (self._unpacked, self._artifact)
        wait(either, return_when=FIRST_COMPLETED)
        return None if self._artifact.done() else self._unpacked.result()

    def expected(self, droplet: Platform) -> Artifact | None:
        """What will be built if the project answers as it did last time.

        None when that cannot be expected, or the build has ended.
        """
        self._know(droplet)
        either: tuple[Future[Any], ...] = (self._expected, self._artifact)
        wait(either, return_when=FIRST_COMPLETED)
        return None if self._artifact.done() else self._expected.result()

    def check(self) -> None:
        """Raise what ended the build, if something did."""
        if self._artifact.done():
            self._artifact.result()

    def artifact(self, droplet: Platform, note: Callable[[str], None]) -> Artifact:
        """The artifact for that platform: the one that was built ahead, or one built now."""
        self._know(droplet)
        artifact = self._artifact.result()
        for text in (*self._notes, *artifact.warnings):
            note(text)
        return artifact

    def remember(self) -> None:
        """What was built is what the next build is held against."""
        self._artifact.result().remember()

    def _know(self, droplet: Platform) -> None:
        if droplet == self._droplet:
            return
        self._begin(droplet)
        platforms.keep(self._root, self._target, droplet)

    def _begin(self, droplet: Platform) -> None:
        sys.setswitchinterval(SWITCH_SECONDS)
        self._droplet = droplet
        self._unpacked: Future[Packages] = Future()
        self._expected: Future[Artifact] = Future()
        told = self._unpacked.set_result, self._expected.set_result
        self._artifact = ThreadPoolExecutor(1).submit(self._build, droplet, *told)

    def _build(
        self,
        droplet: Platform,
        unpacked: Callable[[Packages], None],
        expected: Callable[[Artifact], None],
    ) -> Artifact:
        # Here, because the droplet can be asked meanwhile.
        from deploy.build import build

        note = self._notes.append
        return build(self._root, self._revision, self._target, droplet, note, unpacked, expected)
