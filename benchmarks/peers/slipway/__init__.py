"""This project."""

from __future__ import annotations

from benchmarks.clock import timed
from benchmarks.ground import Ground
from benchmarks.model import Figures
from tests.lab.site import BIN


class Slipway:
    """`invoke deploy` and `invoke rollback` in the ground's work tree."""

    def __init__(self, ground: Ground) -> None:
        self._site = ground.site

    def deploy(self) -> Figures:
        return self._invoke("deploy")

    def rollback(self) -> Figures:
        return self._invoke("rollback")

    def _invoke(self, task: str) -> Figures:
        argv = (str(BIN / "invoke"), task, "--json", "--env", self._site.name)
        done = timed(argv, self._site.clone)
        return {"seconds": done.seconds}
