"""What every peer does: change, deploy, go back, forget; each in its own way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from benchmarks.clock import timed
from benchmarks.ground import Ground
from benchmarks.model import Figures
from benchmarks.peers import repository, stand
from benchmarks.routes import Route
from lab import paths


class Peer(ABC):
    """Who deploys the sample site. A whole command is timed, and then the site is looked at.

    ``name`` is also its user, database and unit on the droplet, where Nginx listens on ``port``.
    ``repeats_are_releases`` says whether it can go back from a deploy of nothing new to the same.
    """

    name: ClassVar[str]
    port: ClassVar[int]
    repeats_are_releases: ClassVar[bool] = False

    def __init__(self, ground: Ground, files: Mapping[str, str], upstream: str) -> None:
        ground.note(f"the stand of {self.name}")
        self.site = ground.site
        self.wheels = ground.once(repository.wheels)
        self.repository = repository.make(ground.folder / self.name, self.wheels, files)
        self._line = ""
        # What each release that is left shows, the live one last.
        self._shown: list[str] = []
        stand.make_stand(self.site, self.name, self.port, upstream)

    @property
    def home(self) -> str:
        return f"/opt/{self.name}"

    def change(self, line: str) -> None:
        """Commit one changed line, which every page shows."""
        self.repository.change(line)
        self._line = line
        self.publish()

    def add_package(self) -> None:
        """Commit one package more."""
        self.repository.add_package()
        self.publish()

    def deploy(self, route: Route) -> Figures:
        figures = self._deploy(route)
        if self.repeats_are_releases or [self._line] != self._shown[-1:]:
            self._shown.append(self._line)
        stand.check(self.site, self.port, self._line)
        return figures

    def rollback(self, route: Route) -> Figures:
        figures = self._rollback(route)
        self._shown.pop()
        stand.check(self.site, self.port, self._shown[-1])
        return figures

    def forget(self) -> None:
        """As if the site had never been deployed: no code, no packages, an empty database."""
        self._forget()
        self._shown.clear()
        stand.empty_database(self.site, self.name)

    def publish(self) -> None:
        """Push to the git server, which is the droplet itself: the nearest that one can be."""
        known = f"-o UserKnownHostsFile={paths.KNOWN_HOSTS}"
        url = f"{self.name}@{self.site.address}:/srv/git/{self.name}.git"
        timed(
            ("git", "push", "--quiet", "--force", url, "main"),
            self.repository.folder,
            {"GIT_SSH_COMMAND": f"ssh -F none -i {paths.SSH_KEY} {known}"},
        )

    @abstractmethod
    def _deploy(self, route: Route) -> Figures: ...

    @abstractmethod
    def _rollback(self, route: Route) -> Figures: ...

    @abstractmethod
    def _forget(self) -> None: ...
