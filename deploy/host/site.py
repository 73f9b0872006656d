"""What the droplet knows of its site: the file that Ansible wrote from the inventory."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

from deploy.host.errors import Refused
from deploy.host.layout import Layout

CONFIG_FOLDER = Path("/etc/slipway")


@dataclass(frozen=True)
class Site:
    """The inventory's ``deploy_target`` as far as the droplet needs it. Times are in seconds.

    ``bake_error_share`` is how much larger the share of 5xx answers (0 to 1) may be than with the
    release before; ``keep_warm`` lets that one run on until the next deploy; ``processes`` are
    what runs of the Procfile beside web: ``worker``, ``worker.2``; ``workers`` are Gunicorn's;
    ``addons`` are the services of the site's own.
    """

    app: str
    root: str
    environment: str
    domain: str
    ready_path: str
    pages: tuple[str, ...]
    gate_seconds: float
    bake_seconds: float
    bake_error_share: float
    drain_seconds: float
    keep_releases: int
    keep_warm: bool
    lock_timeout_seconds: float
    min_free_mb: int
    processes: tuple[str, ...]
    workers: int
    addons: tuple[str, ...]

    @property
    def layout(self) -> Layout:
        return Layout(Path(self.root))

    def sockets(self, release_id: str) -> Path:
        """The folder, root's own, in which systemd makes the socket of a release."""
        return Path("/run") / self.app / release_id

    @property
    def unit_helper(self) -> tuple[str, ...]:
        return ("sudo", "-n", f"/usr/local/sbin/{self.app}-unit")

    @property
    def manage_helper(self) -> tuple[str, ...]:
        return ("sudo", "-n", f"/usr/local/sbin/{self.app}-manage")


def others(app: str, folder: Path = CONFIG_FOLDER) -> list[str]:
    """The apps that this droplet serves beside this one."""
    return sorted(path.stem for path in folder.glob("*.json") if path.stem != app)


def load(app: str, folder: Path = CONFIG_FOLDER) -> Site:
    """Read ``<folder>/<app>.json``.

    Raises:
        Refused: the droplet was not provisioned for this app, or by an older inventory.
    """
    path = folder / f"{app}.json"
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError:
        raise Refused(
            f"This droplet was never provisioned for {app} ({path} is missing). "
            "Run: ansible-playbook site.yml"
        ) from None
    except PermissionError:
        raise Refused(
            f"{path} cannot be read by the deploy user. Run: ansible-playbook site.yml"
        ) from None
    missing = [field.name for field in fields(Site) if field.name not in values]
    if missing:
        raise Refused(f"{path} lacks {', '.join(missing)}. Run: ansible-playbook site.yml")
    known = {field.name: values[field.name] for field in fields(Site)}
    sequences = {key: tuple(known[key]) for key in ("pages", "processes", "addons")}
    return Site(**{**known, **sequences})
