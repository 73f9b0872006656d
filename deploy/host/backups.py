"""What root tells everybody on the droplet of its backups (role backup)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

STATE = Path("/var/lib/slipway-backup/state.json")
# They are looked at every ten minutes.
STALE = timedelta(minutes=45)
# Its units say themselves why they failed.
UNITS = "slipway-backup@"


def facts(path: Path = STATE) -> dict[str, Any] | None:
    """The newest backups, the last proof, how far the archive is behind; None without backups."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    newest = {name: found[name][-1] if found[name] else None for name in ("backups", "files")}
    return {
        "postgresql": newest["backups"],
        "files": newest["files"],
        "count": len(found["backups"]),
        "place": found["repository"]["place"],
        "proof": found["proof"],
        "archiving": found["archiving"],
        "problems": found["problems"],
        "looked_at": found["looked_at"],
    }


def problems(found: Mapping[str, Any] | None) -> Iterator[str]:
    """What is not well with them: sentences with the next command."""
    if found is None:
        yield "there are no backups. Run: ansible-playbook site.yml"
        return
    yield from found["problems"]
    looked_at = datetime.fromisoformat(found["looked_at"])
    if datetime.now(UTC) - looked_at > STALE:
        yield (
            f"nobody has looked at the backups since {looked_at:%Y-%m-%d %H:%M} UTC. "
            "Look: systemctl status slipway-backup-watch.timer"
        )
