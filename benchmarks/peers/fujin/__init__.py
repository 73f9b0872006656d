"""fujin-cli, from PyPI: a wheel of the site, an installer that runs on the droplet, systemd."""

from __future__ import annotations

from pathlib import Path

import uv

from benchmarks.clock import timed
from benchmarks.ground import Ground
from benchmarks.model import Figures
from benchmarks.peers import repository, stand
from benchmarks.peers.peer import Peer
from benchmarks.routes import Route
from lab import paths

HERE = Path(__file__).parent
VERSION = "0.27.1"
APP = "fujinlibrary"
# Its user, unit and database on the droplet are called after the app; it makes the user itself.
FOLDER = f"/opt/fujin/{APP}"
# Static files outside the packages, into which the service may not write.
SETTINGS = f"""\
from locallibrary.settings import *

STATIC_ROOT = "{FOLDER}/static"
"""


class Fujin(Peer):
    """`fujin deploy --no-input`, from a virtual environment of its own."""

    name = "fujin"
    port = 8083

    def __init__(self, ground: Ground) -> None:
        files = {
            "pyproject.toml": (HERE / "pyproject.toml").read_text(),
            ".fujin/systemd/web.service": (HERE / "web.service").read_text(),
            "app/locallibrary/settings_fujin.py": SETTINGS,
        }
        super().__init__(ground, files, "127.0.0.1:8003")
        self._bin = ground.folder / "fujin-cli" / "bin"
        timed((uv.find_uv_bin(), "venv", "--quiet", str(self._bin.parent)))
        where = ("--python", str(self._bin / "python"))
        timed((uv.find_uv_bin(), "pip", "install", "--quiet", *where, f"fujin-cli=={VERSION}"))
        # The installer wants uv there, and a Python that uv brought: this one is Debian's.
        stand.copy(self.site, [Path(uv.find_uv_bin())], "/usr/local/bin/uv")
        stand.as_root(self.site, (HERE / "prepare.sh").read_text(), APP=APP)
        self.forget()

    def publish(self) -> None:
        """It builds here and asks no git server."""

    def _deploy(self, route: Route) -> Figures:
        return self._run(route, "deploy", "--no-input")

    def _rollback(self, route: Route) -> Figures:
        return self._run(route, "rollback", "--previous")

    def _forget(self) -> None:
        stand.as_root(
            self.site,
            f"systemctl disable -q --now {APP}-web.service 2>/dev/null\n"
            f"rm -rf {FOLDER} /etc/systemd/system/{APP}-*; systemctl daemon-reload",
        )
        stand.empty_database(self.site, APP)

    def _run(self, route: Route, *words: str) -> Figures:
        text = (HERE / "fujin.toml").read_text()
        facts = {"HOST": route.host, "PORT": str(route.port), "KEY": str(paths.SSH_KEY)}
        for name, value in facts.items():
            text = text.replace(f"@{name}@", value)
        (self.repository.folder / "fujin.toml").write_text(text)
        path = f"{self._bin}:{Path(uv.find_uv_bin()).parent}:/usr/bin:/bin"
        variables = {"PATH": path, **repository.offline(self.wheels)}
        argv = (str(self._bin / "fujin"), *words)
        return {"seconds": timed(argv, self.repository.folder, variables).seconds}
