"""This project."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from benchmarks.clock import timed
from benchmarks.ground import Ground
from benchmarks.model import OURS, Failed, Figures
from benchmarks.peers import repository, stand
from benchmarks.peers.repository import Repository
from benchmarks.routes import Route, far, near
from tests.lab.inventories import hosts
from tests.lab.site import BIN

HERE = Path(__file__).parent
APP = "locallibrary"
# A kernel that shares processors among sessions (autogroup) heeds the niceness of a session's own
# programs only within it.
GIVING_WAY = (
    *("setsid", "--wait", "nice", "-n", "19", "sh", "-c"),
    'if [ -w /proc/self/autogroup ]; then echo 19 >/proc/self/autogroup; fi; exec "$@"',
    "sh",
)


class Slipway:
    """`invoke deploy` and `invoke rollback` in the ground's work tree, every gate on.

    The bake, in which the new release is watched, is no part of "seconds": what visitors get has
    been switched by then, and no peer has one. "start" is what the site itself needs to come up.
    """

    name = OURS

    def __init__(self, ground: Ground) -> None:
        self.site = ground.site
        self._wheels = ground.once(repository.wheels)
        self._repository = Repository(self.site.clone, self._wheels)
        self._line = ""
        self._before: Sequence[str] = ()
        for route in (ground.once(near), ground.once(far)):
            facts: dict[str, object] = {
                "ansible_host": route.host,
                "ansible_port": route.port,
                "environment_name": self.site.name,
                "site_domains": [self.site.domain],
                "site_known_hosts": str(route.known_hosts),
            }
            inventory = self.site.clone / "inventory" / f"{route.name}.yml"
            inventory.write_text(f"---\n{yaml.safe_dump(hosts(self.site.name, facts))}")
        self.site.commit({}, "Inventories of the routes")

    def change(self, line: str) -> None:
        """Commit one changed line, which every page shows."""
        self._repository.change(line)
        self._line = line

    def add_package(self) -> None:
        """Commit one package more."""
        self._repository.add_package()

    def deploy(self, route: Route) -> Figures:
        figures = self._invoke("deploy", route)
        if not self._shown():
            raise Failed(f"the site does not serve the change {self._line}")
        return figures

    def deploy_anew(self, route: Route) -> Figures:
        """With no connection that an earlier command kept open."""
        with TemporaryDirectory() as folder:
            variables = {**repository.offline(self._wheels), "XDG_RUNTIME_DIR": folder}
            try:
                return self.timed("deploy", route.name, variables)
            finally:
                for socket in Path(folder).iterdir():
                    timed(("ssh", "-O", "exit", "-S", str(socket), route.host))

    def rollback(self, route: Route) -> Figures:
        figures = self._invoke("rollback", route)
        if self._shown():
            raise Failed(f"the site still serves the change {self._line}")
        return figures

    @contextmanager
    def giving_way(self) -> Iterator[None]:
        """The controller gets what the droplet leaves of the processors: it is no neighbour."""
        self._before = GIVING_WAY
        try:
            yield
        finally:
            self._before = ()

    def _shown(self) -> bool:
        """Whether visitors get what was changed last."""
        try:
            return f"<!-- bench {self._line} -->" in self.site.get().body
        except OSError as error:
            raise Failed(f"the site does not answer: {error}") from None

    def forget(self) -> None:
        """As site.yml left it: the site never deployed, and nothing built here either."""
        site = self.site
        stand.as_root(site, (HERE / "forget.sh").read_text(), APP=APP)
        stand.empty_database(site, APP)
        shutil.rmtree(site.clone / ".slipway")
        # What the playbook did for its own inventory (roles/controller), for the route's.
        asked = "import platform as p; print(p.python_version().rpartition('.')[0], p.machine())"
        platform = site.ask(f'/usr/bin/python3 -c "{asked}"').split()
        inventory = f"inventory/{near.__name__}.yml"
        timed((str(BIN / "python"), "-m", "deploy.prepared", inventory, *platform), site.clone)

    def _invoke(self, task: str, route: Route) -> Figures:
        return self.timed(task, route.name, repository.offline(self._wheels))

    def timed(self, task: str, env: str, variables: Mapping[str, str]) -> Figures:
        """A task's seconds, those of each phase, and the kB "sent"."""
        argv = (*self._before, str(BIN / "invoke"), task, "--json", "--env", env)
        done = timed(argv, self.site.clone, variables)
        phases: list[dict[str, Any]] = json.loads(done.output).get("phases", [])
        seconds = {phase["name"]: phase["seconds"] for phase in phases}
        sent = sum(phase["bytes"] for phase in phases) / 1000
        return {
            **seconds,
            **({"sent": sent} if sent else {}),
            "seconds": done.seconds - seconds.get("bake", 0.0),
        }
