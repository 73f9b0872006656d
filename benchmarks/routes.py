"""How ssh gets to the droplet: straight, or from far away."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ground import Ground
from lab import paths
from lab.run import dies_with_parent
from tests.lab.site import ROOT

FAR_SECONDS = 0.04


@dataclass(frozen=True)
class Route:
    """``name`` is near or far; the host's key is known in ``known_hosts``."""

    name: str
    host: str
    port: int
    known_hosts: Path


def near(ground: Ground) -> Route:
    """The droplet's own address."""
    return Route("near", ground.site.address, 22, paths.KNOWN_HOSTS)


def far(ground: Ground) -> Route:
    """Through a proxy that delays what passes; it ends with the ground."""
    address = ground.site.address
    argv = (sys.executable, "-m", "benchmarks.delay", address, "22", "--rtt", str(FAR_SECONDS))
    proxy = subprocess.Popen(dies_with_parent(argv), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    ground.stack.callback(proxy.wait)
    ground.stack.callback(proxy.kill)
    assert proxy.stdout
    port = int(proxy.stdout.readline())
    known_hosts = ground.folder / "known_hosts"
    keys = [
        line.partition(" ")[2]
        for line in paths.KNOWN_HOSTS.read_text().splitlines()
        if line.split(",")[0] == address
    ]
    known_hosts.write_text("".join(f"[127.0.0.1]:{port} {key}\n" for key in keys))
    return Route("far", "127.0.0.1", port, known_hosts)
