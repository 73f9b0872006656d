"""What the role wrote for this droplet, and the sites that it serves."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

SETTINGS = Path("/etc/slipway-backup/settings.json")
SITES = Path("/etc/slipway")
STANZA = "main"


@dataclass(frozen=True)
class Settings:
    """Times are in seconds, sizes in bytes.

    ``repository`` is a folder of this droplet, or the address of one elsewhere as the inventory
    has it; ``files_repository`` is restic's own name for its part of it, ``files_options`` and
    ``environment`` are what restic has to be told beside that.
    """

    repository: str
    local: bool
    files_repository: str
    files_options: tuple[str, ...]
    environment: dict[str, str]
    postgres_version: str
    state: Path
    scratch: Path
    run: Path
    archive_seconds: int
    backup_age: int
    files_age: int
    proof_age: int
    free_bytes: int
    keep_files: tuple[str, ...]
    alert_url: str

    @property
    def cluster(self) -> Path:
        """The data directory of the cluster that serves."""
        return Path("/var/lib/postgresql") / self.postgres_version / "main"

    @property
    def programs(self) -> Path:
        """PostgreSQL's own."""
        return Path("/usr/lib/postgresql") / self.postgres_version / "bin"


@dataclass(frozen=True)
class Site:
    """One site of the droplet. ``database`` is postgresql or sqlite."""

    app: str
    root: Path
    database: str

    @property
    def release(self) -> str | None:
        """The release that is live."""
        try:
            return (self.root / "current").readlink().name
        except OSError:
            return None


def load(path: Path = SETTINGS) -> Settings:
    """Read the settings."""
    values = json.loads(path.read_text())
    known = {field.name: values[field.name] for field in fields(Settings)}
    paths = {name: Path(known[name]) for name in ("state", "scratch", "run")}
    sequences = {name: tuple(known[name]) for name in ("files_options", "keep_files")}
    return Settings(**{**known, **paths, **sequences})


def sites(folder: Path = SITES) -> list[Site]:
    """The sites of this droplet."""
    told = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return [
        Site(site["app"], Path(site["root"]), site.get("database", "postgresql")) for site in told
    ]
