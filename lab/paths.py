"""Every path of the lab, derived in one place."""

import os
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
PACKAGES = PROJECT / "lab" / "packages.txt"

STATE = Path("/var/lib/slipway-lab")
DROPLETS = STATE / "droplets"
LOCKS = STATE / "locks"
LOGS = STATE / "logs"
RUN = STATE / "run"
SSH = STATE / "ssh"
SSH_KEY = SSH / "id_ed25519"
KNOWN_HOSTS = SSH / "known_hosts"
ACME = STATE / "acme"
ACME_CA = ACME / "ca.pem"
ACME_ROOT = ACME / "root.pem"

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway"
IMAGES = CACHE / "images"
ARCHIVES = CACHE / "apt"

NSPAWN_RUN = Path("/run/systemd/nspawn")
NETNS = Path("/run/netns")


@dataclass(frozen=True)
class DropletPaths:
    """The folder of one droplet: its disk (an overlay), its record, its supervisor's files."""

    home: Path

    @classmethod
    def of(cls, name: str) -> "DropletPaths":
        return cls(DROPLETS / name)

    @property
    def record(self) -> Path:
        return self.home / "droplet.json"

    @property
    def upper(self) -> Path:
        return self.home / "upper"

    @property
    def work(self) -> Path:
        return self.home / "work"

    @property
    def root(self) -> Path:
        return self.home / "root"

    @property
    def supervisor(self) -> Path:
        return self.home / "supervisor.json"

    @property
    def state(self) -> Path:
        return self.home / "state.json"

    @property
    def cgroups(self) -> Path:
        return self.home / "cgroups"

    @property
    def notify(self) -> Path:
        return self.home / "notify"

    @property
    def console(self) -> Path:
        return self.home / "console.log"

    @property
    def archives(self) -> Path:
        """Where the droplet's own apt keeps what it downloaded, seen from the host."""
        return self.upper / "var/cache/apt/archives"
