"""Droplets: make, find, reboot, cut the power of, and remove them."""

import json
import os
import re
import signal
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lab import cgroups, files, host, image, network, paths, services, supervisor
from lab.errors import LabError
from lab.paths import DropletPaths
from lab.process import Identity, live, spawn, tail, wait_for
from lab.progress import step
from lab.run import Result, run
from lab.supervisor import State

NAME = re.compile(r"[a-z]([a-z0-9-]{0,29}[a-z0-9])?")
DEFAULT_NAME = "library"
DEFAULT_SUITE = "trixie"
BOOT_PATIENCE = 90.0
# systemd(1), SIGNALS: the first real-time signals ask PID 1 for a unit; +5 is reboot.
REBOOT_SIGNAL = signal.SIGRTMIN + 5


@dataclass(frozen=True)
class Droplet:
    """A droplet's record: what it is called, what it runs, where it is."""

    name: str
    suite: str
    address: str
    image: Path

    @property
    def host(self) -> str:
        """Its name in the lab's DNS; every name below it resolves too."""
        return f"{self.name}.{network.DOMAIN}"

    @property
    def paths(self) -> DropletPaths:
        return DropletPaths.of(self.name)

    @property
    def state(self) -> State:
        """What its supervisor last wrote; without one, whether the droplet outlived it."""
        known = State.load(self.paths.state)
        watch = Identity.load(self.paths.supervisor)
        if watch and watch.alive():
            return known
        orphaned = known.leader is not None and known.leader.alive()
        return replace(known, state="orphaned" if orphaned else "off")

    def summary(self) -> dict[str, str | int]:
        """What `lab.list` shows of it."""
        state = self.state
        return {
            "name": self.name,
            "suite": self.suite,
            "address": self.address,
            "host": self.host,
            "state": state.state,
            "boots": state.boots,
        }

    def ssh(self, *command: str, user: str = "root") -> tuple[str, ...]:
        """argv that runs the command in it, its host key checked against the lab's list."""
        return (
            "ssh",
            *("-i", str(paths.SSH_KEY)),
            *("-o", "IdentitiesOnly=yes"),
            *("-o", f"UserKnownHostsFile={paths.KNOWN_HOSTS}"),
            *("-o", "GlobalKnownHostsFile=/dev/null"),
            *("-o", "StrictHostKeyChecking=yes"),
            *("-o", "ConnectTimeout=10"),
            f"{user}@{self.address}",
            *(("--", *command) if command else ()),
        )

    def run(self, *command: str, user: str = "root", warn: bool = False) -> Result:
        """Run the command in it (the remote shell sees the words joined by spaces)."""
        argv = self.ssh(*command, user=user)
        return run(argv[0], "-o", "BatchMode=yes", *argv[1:], warn=warn, timeout=None)


def all_droplets() -> list[Droplet]:
    """Every droplet that has a record, by name."""
    found = []
    for home in sorted(paths.DROPLETS.glob("*")):
        try:
            raw = json.loads(files.read(DropletPaths(home).record) or "")
            found.append(Droplet(**{**raw, "image": Path(raw["image"])}))
        except (KeyError, TypeError, ValueError):
            continue
    return found


def find(name: str) -> Droplet | None:
    return next((droplet for droplet in all_droplets() if droplet.name == name), None)


def get(name: str) -> Droplet:
    """The droplet of that name, or LabError with those that exist."""
    if droplet := find(name):
        return droplet
    names = ", ".join(droplet.name for droplet in all_droplets()) or "none"
    raise LabError(
        f"No droplet {name!r} in the lab (there are: {names}). Run: invoke lab.up --name {name}"
    )


def check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise LabError(
            f"{name!r} is no name for a droplet: use up to 31 of a-z, 0-9 and -, a letter first."
        )


def up(name: str = DEFAULT_NAME, suite: str | None = None, fresh_image: bool = False) -> Droplet:
    """Return the droplet, running: made when it is new, started when it is off.

    suite is `trixie` (the default for a new droplet) or `bookworm`. Whatever a crash or a reboot of
    the host left behind is put right on the way. Raises LabError.
    """
    check_name(name)
    host.require()
    with files.lock(f"droplet-{name}"):
        droplet = find(name)
        if droplet and suite and droplet.suite != suite:
            raise LabError(
                f"Droplet {name} runs {droplet.suite}, not {suite}. "
                f"To replace it run: invoke lab.down --name {name}"
            )
        base = None if droplet else image.ensure(suite or DEFAULT_SUITE, fresh_image)
        with files.lock("lab"):
            droplet = droplet or enroll(name, suite or DEFAULT_SUITE, base)
            ensure_shared()
        if droplet.state.state in ("booting", "running"):
            reconnect(droplet)
            wait_until_running(droplet, boots=1)
        else:
            with step(f"Boot {name} ({droplet.suite}, {droplet.address})"):
                clear(droplet)
                make_disk(droplet)
                start(droplet)
                wait_until_running(droplet, boots=1)
        with files.lock("lab"):
            write_known_hosts()
    return droplet


def enroll(name: str, suite: str, base: Path | None) -> Droplet:
    """Give a new droplet its address and its record."""
    assert base is not None
    taken = {droplet.address for droplet in all_droplets()}
    droplet = Droplet(name, suite, network.choose_address(name, taken), base)
    raw = {**asdict(droplet), "image": str(base)}
    files.write(droplet.paths.record, json.dumps(raw) + "\n")
    return droplet


def ensure_shared() -> None:
    """Keys, bridge, DNS and ACME are there and fit the droplets that exist."""
    if not paths.SSH_KEY.exists():
        paths.SSH.mkdir(parents=True, exist_ok=True)
        run(
            *("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "slipway-lab"),
            *("-f", str(paths.SSH_KEY)),
        )
    host.prepare()
    services.ensure_dns({droplet.name: droplet.address for droplet in all_droplets()})
    services.ensure_acme()


def make_disk(droplet: Droplet) -> None:
    """A disk of its own over the image, with its identity in it; nothing when it has one."""
    place = droplet.paths
    for other in all_droplets():
        image.harvest(other.suite, other.paths.archives)
    if not place.upper.exists():
        draft = place.home / "draft"
        image.remove_tree(draft)
        name, domain = droplet.name, network.DOMAIN
        (draft / "etc/ssh").mkdir(parents=True)
        files.write(draft / "etc/hostname", f"{name}\n")
        files.write(
            draft / "etc/hosts",
            f"127.0.0.1\tlocalhost\n127.0.1.1\t{name}.{domain} {name}\n"
            "::1\tlocalhost ip6-localhost ip6-loopback\n",
        )
        files.write(
            draft / "etc/resolv.conf",
            f"nameserver {network.GATEWAY}\noptions timeout:1 attempts:5\n",
        )
        public = Path(f"{paths.SSH_KEY}.pub").read_text()
        files.write(draft / "root/.ssh/authorized_keys", public, mode=0o600)
        run("ssh-keygen", "-q", "-A", "-f", str(draft))
        image.seed(droplet.suite, draft / "var/cache/apt/archives")
        # These become the droplet's own /, /etc, /var, ...: as Debian has them, whatever umask.
        for made, _, _ in os.walk(draft):
            private = Path(made).is_relative_to(draft / "root")
            Path(made).chmod(0o700 if private else 0o755)
        draft.rename(place.upper)
    for folder in (place.work, place.root):
        folder.mkdir(exist_ok=True)
    if not (droplet.image / "root").is_dir():
        raise LabError(
            f"The image of {droplet.name} is gone: {droplet.image}. "
            f"Run: invoke lab.down --name {droplet.name}, then invoke lab.up --name {droplet.name}"
        )
    run(
        *("mount", "-t", "overlay", f"slipway-{droplet.name}", "-o"),
        f"lowerdir={droplet.image / 'root'},upperdir={place.upper},workdir={place.work}",
        str(place.root),
    )


def start(droplet: Droplet) -> None:
    """Wire the droplet up and start its supervisor."""
    place = droplet.paths
    network.plug(droplet.name, droplet.address)
    place.state.unlink(missing_ok=True)
    place.supervisor.unlink(missing_ok=True)
    argv = (sys.executable, "-m", "lab.supervisor", droplet.name)
    log = paths.LOGS / f"{droplet.name}.log"
    extra = {"PYTHONPATH": str(paths.PROJECT), "PYTHONDONTWRITEBYTECODE": "1"}
    if supervisor.under_systemd():
        # A unit of its own: control groups to delegate, and no login session to die with. The
        # last one's name is free again only when systemd has done with it.
        run("systemctl", "stop", unit(droplet.name), warn=True)
        run(
            *("systemd-run", "--quiet", "--collect", f"--unit={unit(droplet.name)}"),
            *("--property=Delegate=yes", f"--property=StandardOutput=append:{log}"),
            f"--property=StandardError=append:{log}",
            *(f"--setenv={key}={value}" for key, value in extra.items()),
            *argv,
        )
    else:
        spawn(argv, log, place.supervisor, extra)


def unit(name: str) -> str:
    return f"slipway-lab-{name}.service"


def wait_until_running(droplet: Droplet, boots: int, patience: float = BOOT_PATIENCE) -> None:
    """Return when systemd in the droplet has reported READY in its `boots`-th boot or later."""
    place = droplet.paths

    def done() -> bool:
        state = State.load(place.state)
        if state.state == "off" and state.boots:
            raise LabError(
                f"Droplet {droplet.name} switched off while it booted: {tail(place.console)}. "
                f"Its console: {place.console}"
            )
        watch = Identity.load(place.supervisor)
        if watch and not watch.alive():
            log = paths.LOGS / f"{droplet.name}.log"
            raise LabError(f"The supervisor of {droplet.name} died: {tail(log)}")
        return state.state == "running" and state.boots >= boots

    wait_for(done, patience, f"{droplet.name} to boot (its console: {place.console})")


def reconnect(droplet: Droplet) -> None:
    """Put a running droplet's wire back on the bridge, in case the bridge was made anew."""
    run("ip", "link", "set", network.host_end(droplet.address), "master", network.BRIDGE, "up")


def write_known_hosts() -> None:
    """The droplets' host keys, read from their disks: nothing is trusted on first use."""
    lines = []
    for droplet in all_droplets():
        for key in sorted((droplet.paths.upper / "etc/ssh").glob("ssh_host_*_key.pub")):
            kind, value = key.read_text().split()[:2]
            lines.append(f"{droplet.address},{droplet.host} {kind} {value}\n")
    files.write(paths.KNOWN_HOSTS, "".join(lines))


def reboot(name: str) -> Droplet:
    """Ask the droplet's systemd to reboot; return when it is running again."""
    host.require_root()
    droplet = get(name)
    state = droplet.state
    if state.leader is None or not state.leader.signal(REBOOT_SIGNAL):
        raise LabError(f"Droplet {name} is off. Run: invoke lab.up --name {name}")
    with step(f"Reboot {name}"):
        wait_until_running(droplet, boots=state.boots + 1)
    return droplet


def kill(name: str) -> Droplet:
    """Cut the power: SIGKILL for all of the droplet at once. `up` starts it from the same disk."""
    host.require_root()
    droplet = get(name)
    with files.lock(f"droplet-{name}"):
        end_processes(name)
    return droplet


def down(name: str) -> None:
    """Remove the droplet and its disk, whatever state it is in; with the last, the lab itself."""
    host.require_root()
    check_name(name)
    with files.lock(f"droplet-{name}"):
        droplet = find(name)
        if droplet:
            clear(droplet)
            image.harvest(droplet.suite, droplet.paths.archives)
        else:
            clear_remains(name)
        with files.lock("lab"):
            image.remove_tree(DropletPaths.of(name).home)
            write_known_hosts()
            (paths.LOGS / f"{name}.log").unlink(missing_ok=True)
            settle()


def settle() -> None:
    """Shared services for the droplets that are left; without any, leave no trace on the host."""
    left = all_droplets()
    if left:
        services.ensure_dns({droplet.name: droplet.address for droplet in left})
    else:
        services.stop_acme()
        services.stop_dns()
        host.restore()
    image.prune({droplet.image for droplet in left})


def down_all() -> list[str]:
    """Remove every droplet and every trace of one; return their names."""
    host.require_root()
    names = leftovers()
    for name in names:
        down(name)
    with files.lock("lab"):
        settle()
    return names


def leftovers() -> list[str]:
    """Names of all that looks like a droplet: folders and namespaces, with a record or without."""
    folders = {path.name for path in paths.DROPLETS.glob("*")}
    return sorted(filter(NAME.fullmatch, folders | set(network.namespaces())))


def clear(droplet: Droplet) -> None:
    """End what is left of the droplet's last run: processes, wire, mounts, groups."""
    end_processes(droplet.name)
    network.unplug(droplet.name, droplet.address)
    clear_remains(droplet.name)


def clear_remains(name: str) -> None:
    """The part of `clear` that needs no record."""
    place = DropletPaths.of(name)
    end_processes(name)
    if name in network.namespaces():
        # Its end of the wire goes with the namespace, and ours with it.
        run("ip", "netns", "delete", network.namespace(name))
    # nspawn 257 refuses to start over the export folder that a killed one has left mounted.
    exported = [paths.NSPAWN_RUN / kind / name for kind in ("unix-export", "propagate")]
    for point in (place.root, *exported):
        while host.mount_type(point):
            run("umount", "--recursive", str(point))
    for folder in exported:
        image.remove_tree(folder)
    cgroups.remove(place.cgroups)


def end_processes(name: str) -> None:
    """SIGKILL the supervisor, nspawn and all inside, and return when they are gone."""
    place = DropletPaths.of(name)
    # Outside in: nothing is left that could start again what has been killed. PID 1 inside is
    # waited for by its own identity, for a dying process leaves its namespace before it is dead.
    outside = [Identity.load(place.supervisor), *programs(name), State.load(place.state).leader]
    for process in filter(None, outside):
        process.kill()

    def gone() -> bool:
        inside = [Identity.of(pid) for pid in network.inhabitants(name)]
        for process in filter(None, inside):
            process.signal(signal.SIGKILL)
        return not any(inside)

    wait_for(gone, 20, f"the processes of {name} to die")


def programs(name: str) -> list[Identity]:
    """Supervisor and nspawn of the droplet, found by their arguments: pid files can be lost."""
    root = DropletPaths.of(name).root
    nspawn, watch = supervisor.nspawn(name, root), ("-m", "lab.supervisor", name)
    return live(lambda argv: argv == nspawn or argv[-3:] == watch)


def log_in(name: str, *command: str) -> None:
    """Replace this process by ssh into the droplet: a shell, or the command."""
    host.require_root()
    argv = get(name).ssh(*command)
    sys.stdout.flush()
    os.execvp(argv[0], argv)
