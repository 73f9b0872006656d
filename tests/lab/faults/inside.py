"""What is on the droplet: links, releases, units, the lock, the audit log, rows of the database."""

import json
import shlex
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.host.layout import Layout
from deploy.host.retiring import LEAVING
from tests.lab.faults.loader import Record
from tests.lab.site import Site

APP = "locallibrary"
LAYOUT = Layout(Path("/srv") / APP)
# RELIABILITY: the lock is free within 10 s; a release that is being drained may take longer.
LOCK_SECONDS = 40.0

# A program removes what was pruned, and systemd stops what is retired; no deploy waits for them.
SETTLED = f"""
for _ in $(seq 100); do
    leaving=$(find {LAYOUT.releases} -maxdepth 1 -name "{LEAVING}*")
    stopping=$(systemctl list-units --plain --no-legend --state=deactivating "{APP}-*")
    [ -n "$leaving$stopping" ] || break
    sleep 0.05
done
"""
LOOK = f"""
import fcntl, json, os, pathlib, subprocess
root = pathlib.Path("{LAYOUT.root}")
here = lambda name: sorted(path.name for path in (root / name).iterdir())
def free():
    with open(root / "lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
units = subprocess.run(["/usr/local/sbin/{APP}-unit", "list"], capture_output=True, text=True)
serving = ["pgrep", "-c", "-f", "^/usr/bin/python3 -IS .* serve$"]
tools = subprocess.run(serving, capture_output=True, text=True)
log = (root / "deploys.jsonl").read_text().splitlines()
print(json.dumps({{
    "current": os.readlink(root / "current").rpartition("/")[2],
    "releases": here("releases"),
    "sealed": [name for name in here("releases")
               if (root / "releases" / name / "release.json").exists()],
    "venvs": here("venvs"),
    "drafts": [str(path) for folder in ("", "releases", "venvs", "tools")
               for path in (root / folder).glob(".*") if path.name != ".release.json"],
    "incoming": here("objects/incoming") if (root / "objects/incoming").exists() else [],
    "units": dict(line.split() for line in units.stdout.splitlines()),
    "free": free(),
    "tools": int(tools.stdout),
    "log": log,
    "bound": sorted(path.name.removesuffix(".env")
                    for path in pathlib.Path("/etc/{APP}/releases").iterdir()),
}}))
"""


@dataclass(frozen=True)
class Inside:
    """The droplet at one moment. Names are those of folders; units are release -> state."""

    current: str
    releases: list[str]
    sealed: list[str]
    venvs: list[str]
    drafts: list[str]
    incoming: list[str]
    units: dict[str, str]
    free: bool
    tools: int
    log: list[str]
    bound: list[str]

    @property
    def half_made(self) -> list[str]:
        """Folders under releases/ that are no release."""
        return [name for name in self.releases if name not in self.sealed]

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The audit log's lines."""
        return [json.loads(line) for line in self.log]


def settle(site: Site) -> None:
    """Wait for what the last command left to others, 5 s at most."""
    site.ask(SETTLED)


def look(site: Site) -> Inside:
    """The droplet as it is now, but for what is leaving it."""
    settle(site)
    return Inside(**json.loads(site.ask(f"python3 -c {shlex.quote(LOOK)}")))


def wait_until_free(site: Site) -> float:
    """Seconds until nobody held the lock; fails when it takes too long."""
    begun = time.monotonic()
    # flock(1) leaves with 1 when it had to give up.
    done = site.ssh(f"flock --wait {LOCK_SECONDS} {LAYOUT.lock} true")
    assert done.code == 0, f"the lock was not free within {LOCK_SECONDS:.0f} s"
    return time.monotonic() - begun


def whole(site: Site) -> None:
    """Invariant B: `current` resolves to a complete release, and every file has its digest."""
    found = look(site)
    assert found.current in found.sealed, found
    done = site.ssh(f"slipway {APP} verify")
    assert done.code == 0, done


def nothing_left(site: Site) -> Inside:
    """Nothing leaked: one instance runs, no half release, no draft, no lock, no tool."""
    found = look(site)
    assert found.units == {found.current: "active"}, found
    assert found.half_made == [], found
    assert found.drafts == [], found
    assert found.incoming == [], found
    assert (found.free, found.tools) == (True, 0), found
    # No config vars are kept for a release that is gone.
    assert set(found.bound) <= set(found.releases), found
    failed = site.ask("systemctl --failed --no-legend --plain")
    assert failed == "", failed
    return found


def rows_kept(site: Site, history: Iterable[Record]) -> int:
    """Invariant D: every session whose cookie a visitor got is in the database; how many."""
    acknowledged = {record.session for record in history if record.session and record.good}
    stored = set(psql(site, "SELECT session_key FROM django_session").splitlines())
    missing = acknowledged - stored
    assert not missing, f"{len(missing)} of {len(acknowledged)} acknowledged rows are gone"
    return len(acknowledged)


def psql(site: Site, statement: str) -> str:
    """The answer of the database's own administrator: unaligned, rows only."""
    return site.ask(f"runuser -u postgres -- psql -d {APP} -Atc {shlex.quote(statement)}")


def schema(site: Site) -> str:
    """The database's schema as pg_dump has it, without the random marks of newer versions."""
    text = site.ask(f"runuser -u postgres -- pg_dump --schema-only {APP}")
    return "\n".join(line for line in text.splitlines() if "restrict" not in line)
