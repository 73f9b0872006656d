"""Servers beside ours on the droplet, of the same code, and loads that count processor time."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uv

from benchmarks.clock import must, timed
from benchmarks.ground import Ground
from benchmarks.model import Failed
from benchmarks.peers.slipway import APP
from benchmarks.peers.stand import as_root, copy
from tests.lab.site import Site

HOME = "/opt/bench"
PACKAGES = f"{HOME}/packages"
THERE = Path(__file__).parent / "there"
# What serves beside ours, and the client over HTTP/3.
WANTED = (
    "granian",
    "gevent",
    "psycogreen",
    "uvicorn[standard]",
    "uvicorn-worker",
    "whitenoise",
    "aioquic",
)
UP_SECONDS = 30


@dataclass(frozen=True)
class Load:
    """What a load came to. ``cpu`` is unit -> seconds of processor time."""

    answered: int
    failed: int
    seconds: float
    cpu: dict[str, float]

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.answered / self.seconds

    def cost(self, *units: str) -> float:
        """Milliseconds of processor time for a request, of these units or of all."""
        return 1000 * sum(self.cpu[unit] for unit in units or self.cpu) / self.answered


@dataclass(frozen=True)
class Workshop:
    """The droplet with all that contestants need. ``app`` is the name of our site."""

    site: Site
    app: str

    @property
    def release(self) -> str:
        """The folder of the live release."""
        return self.site.ask(f"readlink -f /srv/{self.app}/current")

    @property
    def postgresql(self) -> str:
        """Its unit, whichever major version it is."""
        return self.site.ask(
            "systemctl list-units --plain --no-legend 'postgresql@*.service' | cut -d' ' -f1"
        )

    def load(
        self, units: Sequence[str], argv: Sequence[str], seconds: float, split: bool = False
    ) -> Load:
        """Run a load, and count.

        Raises:
            Failed: it did not run, or more than one in a hundred requests was not answered well.
        """
        told = json.dumps({"units": [*units], "argv": [*argv], "split": split})
        line = f"PYTHONPATH={PACKAGES} python3 {HOME}/load.py {shlex.quote(told)}"
        found = json.loads(must(self.site.ssh(line)).stdout)
        answered, failed = count(found["output"])
        if found["code"] or failed > answered / 100:
            said = found["output"].strip().splitlines()[-15:]
            raise Failed(f"{failed} requests failed, {answered} were answered", said)
        return Load(answered, failed, seconds, found["cpu"])

    def page_load(
        self, urls: Sequence[str], port: int, clients: int, seconds: float, *options: str
    ) -> tuple[str, ...]:
        """argv of a load by h2load: so many clients, each with one request after the other."""
        return (
            *("h2load", f"--clients={clients}", "--threads=1"),
            *(f"--duration={seconds:g}", f"--connect-to=127.0.0.1:{port}"),
            *("--header=accept-encoding: gzip", *options, *urls),
        )

    @contextmanager
    def serving(self, name: str, argv: Sequence[str], user: str = "") -> Iterator[str]:
        """The unit of a server that runs beside ours, and is stopped at the end."""
        unit = f"bench-{name}.service"
        line = shlex.join(self.unit(name, argv, user))
        as_root(self.site, f"systemctl stop {unit} 2>/dev/null\n{line}")
        try:
            yield unit
        finally:
            self.site.ssh(f"systemctl stop {unit}")

    def run(self, name: str, argv: Sequence[str], user: str = "") -> str:
        """What a command says that ends by itself.

        Raises:
            Failed: it did not end well.
        """
        return as_root(self.site, shlex.join(self.unit(name, argv, user, "--wait", "--pipe")))

    def unit(self, name: str, argv: Sequence[str], user: str, *options: str) -> tuple[str, ...]:
        """argv that starts a unit in the live release's code with its config vars.

        As the app's user or another one; ``argv`` may begin with variables.
        """
        release = self.release
        settings = (
            f"User={user or self.app}",
            f"SupplementaryGroups={self.app}",
            f"WorkingDirectory={release}/app",
            f"EnvironmentFile=/etc/{self.app}/releases/{Path(release).name}.env",
            f"RuntimeDirectory=bench-{name}",
            "UMask=0000",
        )
        return (
            *("systemd-run", "--quiet", "--collect", f"--unit=bench-{name}.service", *options),
            *(f"--property={setting}" for setting in settings),
            *("/usr/bin/env", f"PATH={release}/venv/bin:/usr/bin:/bin", *argv),
        )

    def wait_for(self, url: str, port: int) -> None:
        """Until a page comes with status 200.

        Raises:
            Failed: it does not.
        """
        host = re.split("[/:]+", url)[1]
        asked = (
            f"curl -sk -o /dev/null -w '%{{http_code}}' --resolve {host}:{port}:127.0.0.1 '{url}'"
        )
        line = (
            f"for n in $(seq {UP_SECONDS * 5})\n"
            f'do [ "$({asked})" = 200 ] && exit; sleep 0.2; done; exit 1'
        )
        if self.site.ssh(line).code:
            raise Failed(f"{url} does not answer", self.said())

    def said(self) -> list[str]:
        """The journal's last lines of contestants."""
        return self.site.ssh("journalctl -q -n 15 -o cat -u 'bench-*'").stdout.splitlines()


def socket(name: str) -> str:
    """Where a contestant listens."""
    return f"/run/bench-{name}/web.sock"


def count(output: str) -> tuple[int, int]:
    """How many requests were answered well, and how many not, by what a load says."""
    if line := re.search(r"^(\d+) (\d+)$", output.strip()):
        return int(line[1]), int(line[2])
    total = re.search(r"requests: (\d+) total, \d+ started, (\d+) done", output)
    well = re.search(r"status codes: (\d+) 2xx", output)
    if not total or not well:
        raise Failed("the load says nothing of its requests", output.splitlines()[-15:])
    return int(well[1]), int(total[2]) - int(well[1])


def workshop(ground: Ground) -> Workshop:
    """Bring the clients and the packages that contestants need."""
    site = ground.site
    ground.note("servers to compare with")
    python = site.ask("python3 -c 'import sys; print(*sys.version_info[:2], sep=\".\")'")
    packages = ground.folder / "packages"
    timed(
        (
            *(uv.find_uv_bin(), "pip", "install", "--quiet", "--target", str(packages)),
            *("--python-version", python, "--python-platform", "x86_64-manylinux_2_28", *WANTED),
        )
    )
    as_root(
        site,
        f"rm -rf {HOME}; mkdir -p {HOME}\n"
        "export DEBIAN_FRONTEND=noninteractive\n"
        "dpkg -s nghttp2-client curl >/dev/null 2>&1 || { apt-get -q update && \\\n"
        "apt-get -q -y install --no-install-recommends nghttp2-client curl; }",
    )
    copy(site, [packages, *THERE.iterdir()], f"{HOME}/")
    as_root(site, f"chmod -R a+rX {HOME}")
    return Workshop(site, APP)
