"""The deployed project, asked about a restored database as the site's own user."""

from __future__ import annotations

import subprocess
from pathlib import Path

from slipway_backup.programs import lines, run
from slipway_backup.settings import Site
from slipway_backup.trouble import Trouble

# What manage.py migrate --check ends with when some are to be applied.
UNAPPLIED = 1


def fits(site: Site, release: str, socket: Path) -> bool:
    """Whether a release finds all of its migrations in the database of a scratch cluster.

    Raises:
        Trouble: it does not start.
    """
    done = _manage(site, release, socket, "migrate", "--check")
    if done.returncode not in (0, UNAPPLIED) or "Traceback" in done.stderr:
        raise _trouble(site, release, done)
    return done.returncode == 0


def migrate(site: Site, release: str, socket: Path) -> None:
    """Apply its migrations there.

    Raises:
        Trouble: one failed.
    """
    done = _manage(site, release, socket, "migrate", "--noinput")
    if done.returncode != 0:
        raise _trouble(site, release, done)


def script(site: Site, release: str, socket: Path, code: str) -> str:
    """What a script says that is run in the release's shell, against that database.

    Raises:
        Trouble: it failed.
    """
    done = _manage(site, release, socket, "shell", "--verbosity", "0", "--command", code)
    if done.returncode != 0:
        raise _trouble(site, release, done)
    return done.stdout


def _manage(
    site: Site, release: str, socket: Path, *words: str
) -> subprocess.CompletedProcess[str]:
    address = f"postgres://{site.app}@/{site.app}?host={socket}"
    command = ("env", f"DATABASE_URL={address}", "python", "manage.py", *words)
    return run((f"/usr/local/sbin/{site.app}-manage", "--release", release, "--run", *command))


def _trouble(site: Site, release: str, done: subprocess.CompletedProcess[str]) -> Trouble:
    said = lines(done)
    last = said[-1] if said else f"exit code {done.returncode}"
    return Trouble(f"Release {release} of {site.app} failed on the restored database: {last}", said)
