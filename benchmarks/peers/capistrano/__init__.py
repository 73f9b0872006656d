"""Capistrano, from Debian: releases beside each other, a link, a restart."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.clock import timed
from benchmarks.ground import Ground
from benchmarks.model import Failed, Figures
from benchmarks.peers import stand
from benchmarks.peers.peer import Peer
from benchmarks.routes import Route
from lab import paths

HERE = Path(__file__).parent
FILES = ("Capfile", "config/deploy.rb", "config/deploy/droplet.rb")


class Capistrano(Peer):
    """`cap droplet deploy`, with the connections that it keeps open by itself.

    Raises:
        Failed: it is not installed here.
    """

    name = "capistrano"
    port = 8082
    repeats_are_releases = True

    def __init__(self, ground: Ground) -> None:
        if not shutil.which("cap"):
            raise Failed("Debian's package capistrano is not installed on this machine")
        files = {name: (HERE / name).read_text() for name in FILES}
        super().__init__(ground, files, "unix:/run/capistrano.sock")
        code, venv = f"{self.home}/site/current/app", f"{self.home}/site/shared/venv"
        stand.make_units(self.site, self.name, code, venv)
        self.publish()
        self.forget()

    def _deploy(self, route: Route) -> Figures:
        return self._run("deploy", route)

    def _rollback(self, route: Route) -> Figures:
        return self._run("deploy:rollback", route)

    def _forget(self) -> None:
        stand.stop_units(self.site, self.name)
        stand.as_root(self.site, f"rm -rf {self.home}/site {self.home}/static")

    def _run(self, task: str, route: Route) -> Figures:
        variables = {
            "BENCH_HOST": route.host,
            "BENCH_PORT": str(route.port),
            "BENCH_KEY": str(paths.SSH_KEY),
            "BENCH_KNOWN_HOSTS": str(route.known_hosts),
        }
        done = timed(("cap", "droplet", task), self.repository.folder, variables)
        return {"seconds": done.seconds}
