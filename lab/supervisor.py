"""Runs one droplet for as long as it is on: `python -m lab.supervisor NAME`.

It lives in a session of its own, so it survives the command that started it. nspawn dies with it,
and systemd and its services inside are then orphans: alive, but nobody would boot them again after
a reboot. `invoke lab.list` says so, and the next `lab.up` cuts their power and starts anew.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lab import cgroups, files, network, paths
from lab.paths import DropletPaths
from lab.process import Identity
from lab.run import dies_with_parent, environment

# With --keep-unit nspawn ends with this code when the droplet reboots (sd-nspawn, EXIT STATUS).
REBOOTS = 133


@dataclass(frozen=True)
class State:
    """What the supervisor knows: booting, running (systemd said READY),
    orphaned or off; boots so far."""

    state: str = "off"
    boots: int = 0
    leader: Identity | None = None
    exit_code: int | None = None

    @classmethod
    def load(cls, path: Path) -> "State":
        try:
            raw = json.loads(files.read(path) or "{}")
            leader = raw.pop("leader", None)
            return cls(**raw, leader=Identity(**leader) if leader else None)
        except (TypeError, ValueError):
            return cls()

    def save(self, path: Path) -> None:
        files.write(path, json.dumps(asdict(self)) + "\n")


def nspawn(name: str, root: Path) -> tuple[str, ...]:
    """argv of the droplet. CAP_NET_ADMIN is for its firewall."""
    return (
        "systemd-nspawn",
        "--quiet",
        f"--directory={root}",
        f"--machine={name}",
        "--boot",
        "--register=no",
        "--keep-unit",
        "--notify-ready=yes",
        f"--network-namespace-path={paths.NETNS / network.namespace(name)}",
        "--capability=CAP_NET_ADMIN",
        "--settings=no",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--console=read-only",
    )


def boot(name: str, place: DropletPaths, state: State, socket_: socket.socket) -> State:
    """Boot once, keep the state file true, and return the last state."""
    with place.console.open("ab") as console:
        process = subprocess.Popen(
            dies_with_parent(nspawn(name, place.root)),
            env={
                **environment(),
                "NOTIFY_SOCKET": str(place.notify),
                # A droplet may set its own net.* sysctls, as a real host can; the others are ours.
                "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
            },
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
        )
    # An orderly end: nspawn passes a SIGTERM on as a request to power off.
    signal.signal(signal.SIGTERM, lambda number, frame: process.terminate())
    state = State("booting", state.boots + 1)
    state.save(place.state)
    handle = os.pidfd_open(process.pid)
    while True:
        ready, _, _ = select.select([handle, socket_.fileno()], [], [])
        if socket_.fileno() in ready:
            state = heard(socket_.recv(4096).decode(errors="replace"), state)
            state.save(place.state)
        elif handle in ready:
            break
    os.close(handle)
    return State("off", state.boots, exit_code=process.wait())


def heard(message: str, state: State) -> State:
    """The state after a message of sd_notify(3) from nspawn."""
    said = dict(line.split("=", 1) for line in message.splitlines() if "=" in line)
    if pid := said.get("X_NSPAWN_LEADER_PID"):
        state = replace(state, leader=Identity.of(int(pid)))
    if said.get("READY") == "1":
        state = replace(state, state="running")
    return state


def main(name: str) -> int:
    place = DropletPaths.of(name)
    me = Identity.of(os.getpid())
    assert me is not None
    me.save(place.supervisor)
    if not under_systemd():
        cgroups.enter(name, place.cgroups)
    place.notify.unlink(missing_ok=True)
    state = State()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as socket_:
        socket_.bind(str(place.notify))
        while True:
            state = boot(name, place, state, socket_)
            if state.exit_code != REBOOTS:
                break
    state.save(place.state)
    return 0


def under_systemd() -> bool:
    """Whether this host runs systemd, which then gives the supervisor a unit and its groups."""
    return Path("/run/systemd/system").is_dir()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
