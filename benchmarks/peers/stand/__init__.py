"""What peers find on the droplet, and how their sites are looked at."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.clock import must, timed
from benchmarks.model import Failed
from lab import paths
from tests.lab.site import Site

HERE = Path(__file__).parent
WHEELS_THERE = "/srv/wheels"
UP_SECONDS = 20.0


def as_root(site: Site, script: str, **variables: str) -> str:
    """Run a script on the droplet."""
    given = "\n".join(f"export {name}='{value}'" for name, value in variables.items())
    return must(site.ssh(f"umask 022\n{given}\n{script}")).stdout.strip()


def copy(site: Site, files: list[Path], there: str) -> None:
    """Bring files to the droplet, as root."""
    options = ("-F", "none", "-q", "-r", "-o", f"UserKnownHostsFile={paths.KNOWN_HOSTS}")
    words = ("scp", *options, "-i", str(paths.SSH_KEY), *map(str, files))
    timed((*words, f"root@{site.address}:{there}"))


def fetch(site: Site, there: str, folder: Path) -> None:
    """Bring a file of root's from the droplet."""
    options = ("-F", "none", "-q", "-o", f"UserKnownHostsFile={paths.KNOWN_HOSTS}")
    source = f"root@{site.address}:{there}"
    timed(("scp", *options, "-i", str(paths.SSH_KEY), source, str(folder)))


def bring_wheels(site: Site, files: list[Path]) -> None:
    """Put them where every peer looks for packages."""
    as_root(site, f"mkdir -p {WHEELS_THERE}")
    copy(site, files, f"{WHEELS_THERE}/")
    as_root(site, f"chmod -R a+rX {WHEELS_THERE}")


def make_stand(site: Site, name: str, port: int, upstream: str) -> None:
    """All that a peer finds on the droplet (stand.sh)."""
    as_root(
        site,
        (HERE / "stand.sh").read_text(),
        NAME=name,
        PORT=str(port),
        UPSTREAM=upstream,
        KEY=Path(f"{paths.SSH_KEY}.pub").read_text().strip(),
        WHEELS=WHEELS_THERE,
    )


def make_units(site: Site, name: str, code: str, venv: str) -> None:
    """Gunicorn's socket and service (units.sh)."""
    as_root(site, (HERE / "units.sh").read_text(), NAME=name, CODE=code, VENV=venv)


def check(site: Site, port: int, line: str) -> None:
    """What a peer serves must be what was deployed.

    Raises:
        Failed: it is not, after some seconds.
    """
    begun = time.monotonic()
    asked = f"curl -sS --max-time 10 http://127.0.0.1:{port}/ | grep -c -e '<!-- bench {line} -->'"
    while site.ssh(asked).code != 0:
        if time.monotonic() - begun > UP_SECONDS:
            raise Failed(f"port {port} does not serve the change {line}")
        time.sleep(0.2)


def stop_units(site: Site, name: str) -> None:
    """Stop a peer's service, and leave its socket listening."""
    as_root(site, f"systemctl stop {name}.service {name}.socket; systemctl start {name}.socket")


def empty_database(site: Site, name: str) -> None:
    """A database without a table, of the role of that name."""
    as_root(
        site,
        f'runuser -u postgres -- dropdb --force --if-exists "{name}"\n'
        f'runuser -u postgres -- createdb -O "{name}" "{name}"',
    )
