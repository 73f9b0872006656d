"""How others deploy the same site to the same droplet, and how this project does."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from benchmarks.ground import Ground
from benchmarks.model import OURS, Failed, Figures
from benchmarks.routes import Route, near

_lines = map(str, itertools.count(int(time.time())))


class Deployer(Protocol):
    """Who deploys the sample site. What is timed is a whole command; then the site is looked at."""

    def change(self, line: str) -> None:
        """Commit one changed line, which every page shows."""

    def add_package(self) -> None:
        """Commit one package more."""

    def deploy(self, route: Route) -> Figures: ...

    def rollback(self, route: Route) -> Figures: ...

    def forget(self) -> None:
        """As if the site had never been deployed: no code, no packages, an empty database."""


def new_line() -> str:
    """What no release has shown yet."""
    return next(_lines)


def deployers(ground: Ground) -> Mapping[str, Deployer | str]:
    """All of them with two releases behind them, or why one cannot take part.

    Raises:
        Failed: ours cannot.
    """
    from benchmarks.peers.capistrano import Capistrano
    from benchmarks.peers.fujin import Fujin
    from benchmarks.peers.slipway import Slipway
    from benchmarks.peers.tutorial import Tutorial

    makers: dict[str, Callable[[Ground], Deployer]] = {
        kind.name: kind for kind in (Slipway, Tutorial, Capistrano, Fujin)
    }
    found: dict[str, Deployer | str] = {}
    for name, make in makers.items():
        try:
            peer = ground.once(make)
            for _ in range(2):
                peer.change(new_line())
                peer.deploy(ground.once(near))
        except Failed as failure:
            if name == OURS:
                raise
            found[name] = ": ".join((failure.message, *failure.detail[-1:]))
        else:
            found[name] = peer
    return found
