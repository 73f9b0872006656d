"""What every phase works with."""

from __future__ import annotations

import threading
from collections.abc import Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deploy.host.errors import BackedOut
from deploy.host.events import Reporter
from deploy.host.layout import Layout
from deploy.host.objects import Tree
from deploy.host.site import Site, load
from deploy.host.units import Units

if TYPE_CHECKING:
    from concurrent.futures import Future

    from deploy.host.release import Release


@dataclass(frozen=True)
class Looked:
    """``whole`` are objects as they arrived; ``damaged`` those of the packages of ``lock`` that
    are not, by their paths."""

    whole: Set[str] = frozenset()
    lock: str = ""
    damaged: Tree = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """One run of the release tool.

    ``who`` and ``command`` go to the audit log; ``cancel`` is set when somebody pressed Ctrl-C.
    ``begun`` are releases that were laid out and are not sealed (deploy/host/candidate.py),
    ``looked`` tells what is whole of the live one (deploy/host/beforehand.py).
    """

    site: Site
    units: Units
    reporter: Reporter
    who: str
    command: str
    cancel: threading.Event = field(default_factory=threading.Event)
    begun: list[Release] = field(default_factory=list)
    looked: list[Future[Looked]] = field(default_factory=list)

    @property
    def layout(self) -> Layout:
        return self.site.layout

    def check(self) -> None:
        """To be called wherever the run can still back out.

        Raises:
            BackedOut: somebody pressed Ctrl-C.
        """
        if self.cancel.is_set():
            raise BackedOut("Interrupted")

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than until somebody presses Ctrl-C."""
        self.cancel.wait(seconds)
        self.check()


def context(
    app: str, reporter: Reporter, who: str, command: str, cancel: threading.Event
) -> Context:
    """Of a site by its name. Raises Refused: there is none."""
    site = load(app)
    return Context(site, Units(site), reporter, who, command, cancel)
