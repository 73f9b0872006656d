"""Every path on the droplet that releases live in, derived in one place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

RELEASE_ID = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{7,12}")

# sun_path of a unix socket holds 108 bytes with its closing NUL (unix(7)).
SOCKET_PATH_LIMIT = 107


@dataclass(frozen=True)
class Layout:
    """The folders of one site; ``root`` is ``/srv/<app>``."""

    root: Path

    @property
    def releases(self) -> Path:
        return self.root / "releases"

    @property
    def spare(self) -> Path:
        """The project's files of the live release once more (deploy/host/beforehand.py)."""
        return self.root / "spare"

    @property
    def spare_draft(self) -> Path:
        return self.root / ".spare"

    @property
    def venvs(self) -> Path:
        return self.root / "venvs"

    @property
    def objects(self) -> Path:
        return self.root / "objects"

    @property
    def static(self) -> Path:
        return self.root / "static"

    @property
    def tools(self) -> Path:
        return self.root / "tools"

    @property
    def current(self) -> Path:
        return self.root / "current"

    @property
    def restore_points(self) -> Path:
        return self.root / "restore-points"

    @property
    def maintenance(self) -> Path:
        return self.root / "maintenance"

    @property
    def maintenance_on(self) -> Path:
        """While maintenance is on: a link to the folder of its page."""
        return self.maintenance / "on"

    @property
    def builder(self) -> Path:
        """Where builds are made for pushes by git; the release tool itself looks at none of it."""
        return self.root / "builder"

    @property
    def audit_log(self) -> Path:
        return self.root / "deploys.jsonl"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    def release(self, release_id: str) -> Path:
        return self.releases / release_id

    def socket(self, release_id: str) -> Path:
        return self.release(release_id) / "run" / "web.sock"

    def venv(self, lock: str) -> Path:
        return self.venvs / lock
