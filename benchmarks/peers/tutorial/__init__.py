"""The script of the usual tutorial: git pull, pip install, migrate, collectstatic, restart."""

from __future__ import annotations

from pathlib import Path

from benchmarks.clock import timed
from benchmarks.ground import Ground
from benchmarks.model import Figures
from benchmarks.peers import stand
from benchmarks.peers.peer import Peer
from benchmarks.routes import Route
from lab import paths

HERE = Path(__file__).parent


class Tutorial(Peer):
    """`ssh droplet < deploy.sh`."""

    name = "tutorial"
    port = 8081

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground, {}, "unix:/run/tutorial.sock")
        stand.make_units(self.site, self.name, f"{self.home}/site/app", f"{self.home}/venv")
        self.publish()
        self.forget()

    def _deploy(self, route: Route) -> Figures:
        return self._run("deploy.sh", route)

    def _rollback(self, route: Route) -> Figures:
        return self._run("rollback.sh", route)

    def _forget(self) -> None:
        stand.stop_units(self.site, self.name)
        stand.as_root(self.site, f"rm -rf {self.home}/site {self.home}/venv {self.home}/static")

    def _run(self, script: str, route: Route) -> Figures:
        options = ("-F", "none", "-i", str(paths.SSH_KEY), "-p", str(route.port))
        known = ("-o", f"UserKnownHostsFile={route.known_hosts}")
        text = (HERE / script).read_text()
        done = timed(("ssh", *options, *known, f"{self.name}@{route.host}", text))
        return {"seconds": done.seconds}
