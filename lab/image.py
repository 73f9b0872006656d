"""Base images: a minimal Debian per suite, built once and kept as the lower layer of droplets."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from lab import files, paths
from lab.errors import LabError
from lab.process import tail
from lab.progress import console, step
from lab.run import dies_with_parent, environment, run

SUITES = ("trixie", "bookworm")
PACKAGES = (
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "python3",
    "python3-apt",
    "sudo",
    "iproute2",
    "ca-certificates",
    "udev",
    "nftables",
)
# The package lists age with the image: after a week an install may ask for a package that the
# archive has already replaced.
MAX_AGE_DAYS = 7
# A package that no droplet took from the cache for this long goes.
ARCHIVE_DAYS = 30

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
CERTIFICATES = Path("/usr/local/share/ca-certificates")

# What of the host's apt a droplet needs in order to reach the same package archive.
CARRIED = re.compile(r"Acquire::(Check-Valid-Until|Check-Date|Languages|https?::[^\s]+) ")

# Small files of the image.
FURNITURE = {
    "etc/dpkg/dpkg.cfg.d/slipway-lab": (
        "# A lab droplet is thrown away: an install need not survive a power cut.\n"
        "force-unsafe-io\n"
    ),
    # An empty one is filled at the first boot.
    "etc/machine-id": "",
    "etc/locale.conf": "LANG=C.UTF-8\n",
}


@dataclass(frozen=True)
class Repositories:
    """Where the host gets Debian from."""

    archive: str
    security: str


@dataclass(frozen=True)
class Recipe:
    """All that an image is made from; its digest names the image."""

    suite: str
    packages: tuple[str, ...]
    sources: str
    apt: str
    certificates: tuple[str, ...]
    furniture: dict[str, str]

    @property
    def key(self) -> str:
        canonical = json.dumps(asdict(self), sort_keys=True).encode()
        return f"{self.suite}-{hashlib.sha256(canonical).hexdigest()[:12]}"


def sources(suite: str, repositories: Repositories) -> str:
    """The droplet's debian.sources, as a provider's image has it."""
    return (
        "Types: deb\n"
        f"URIs: {repositories.archive}\n"
        f"Suites: {suite} {suite}-updates\n"
        "Components: main\n"
        f"Signed-By: {KEYRING}\n"
        "\n"
        "Types: deb\n"
        f"URIs: {repositories.security}\n"
        f"Suites: {suite}-security\n"
        "Components: main\n"
        f"Signed-By: {KEYRING}\n"
    )


def parse_repositories(targets: str) -> Repositories:
    """The repositories in `apt-get indextargets --format '$(LABEL)|$(REPO_URI)'`."""
    found = dict(line.split("|", 1) for line in reversed(targets.splitlines()) if "|" in line)
    if missing := {"Debian", "Debian-Security"} - found.keys():
        raise LabError(
            f"This machine's apt knows no repository labelled {' or '.join(sorted(missing))} to "
            "make droplets from. Add it to /etc/apt/sources.list.d, then run: apt-get update"
        )
    return Repositories(found["Debian"].rstrip("/"), found["Debian-Security"].rstrip("/"))


def carried_apt(dump: str) -> str:
    """The lines of `apt-config dump` that a droplet has to share with the host."""
    kept = [line for line in dump.splitlines() if CARRIED.match(line) and not line.endswith(' "";')]
    return "".join(f"{line}\n" for line in kept)


def recipe(suite: str) -> Recipe:
    """The recipe for a suite on this host."""
    if suite not in SUITES:
        raise LabError(f"No suite {suite!r} in the lab. It has: {', '.join(SUITES)}")
    targets = run(
        *("apt-get", "indextargets", "--format", "$(LABEL)|$(REPO_URI)", "Created-By: Packages"),
        warn=True,
    ).stdout
    return Recipe(
        suite,
        PACKAGES,
        sources(suite, parse_repositories(targets)),
        carried_apt(run("apt-config", "dump").stdout),
        tuple(path.read_text() for path in sorted(CERTIFICATES.glob("*.crt"))),
        FURNITURE,
    )


def built(path: Path) -> float | None:
    """When the image was finished, in seconds since the epoch; None when it never was."""
    try:
        return float((path / "built").read_text())
    except (FileNotFoundError, ValueError):
        return None


def ensure(suite: str, fresh: bool = False) -> Path:
    """The folder of the suite's image, built now when missing or old; `/root` in it is the tree.

    With `fresh` it is built anew whatever its age.
    """
    wanted = recipe(suite)
    with files.lock(f"image-{suite}"):
        candidates = sorted(paths.IMAGES.glob(f"{wanted.key}.*"), key=lambda path: built(path) or 0)
        ready = [path for path in candidates if built(path)]
        newest = ready[-1] if ready else None
        if newest and not fresh:
            age = (time.time() - (built(newest) or 0)) / 86400
            # A negative age is a clock that was set back: nothing to build anew for.
            if age < MAX_AGE_DAYS:
                return newest
        try:
            return build(wanted)
        except LabError as error:
            if newest is None:
                raise
            console.print(f"[yellow]![/yellow] {error} Going on with the older image.")
            return newest


def build(wanted: Recipe) -> Path:
    """Make the image with mmdebstrap; whole or absent. Takes about half a minute."""
    paths.IMAGES.mkdir(parents=True, exist_ok=True)
    final = paths.IMAGES / f"{wanted.key}.{int(time.time())}"
    # Whoever made the other drafts is gone, for this process holds the suite's lock.
    for stale in paths.IMAGES.glob(f".{wanted.suite}.*"):
        shutil.rmtree(stale, ignore_errors=True)
    draft = paths.IMAGES / f".{wanted.suite}.{os.getpid()}"
    root = draft / "root"
    draft.mkdir()
    log = draft / "build.log"
    with step(f"Build the {wanted.suite} image") as show, log.open("w") as stream:
        process = subprocess.Popen(
            dies_with_parent(mmdebstrap(wanted, root)),
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            umask=0o022,
        )
        assert process.stdin
        assert process.stdout
        process.stdin.write(wanted.sources)
        process.stdin.close()
        for line in process.stdout:
            stream.write(line)
            if line.startswith("I: "):
                show(line[3:].strip().rstrip("."))
        if process.wait() != 0:
            stream.flush()
            raise LabError(build_failure(wanted.suite, log))
        furnish(root, wanted)
    (draft / "built").write_text(f"{time.time():.0f}\n")
    draft.rename(final)
    return final


def mmdebstrap(wanted: Recipe, root: Path) -> tuple[str, ...]:
    """argv that builds the tree; the sources come on standard input."""
    options = [f"--aptopt={line.rstrip(';')}" for line in wanted.apt.splitlines()]
    return (
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        # With its package lists a droplet can install at once, as on a provider's image.
        "--skip=cleanup/apt/lists",
        f"--include={','.join(wanted.packages)}",
        *options,
        wanted.suite,
        str(root),
        "-",
    )


def build_failure(suite: str, log: Path) -> str:
    """One sentence from the log of a failed build."""
    text = files.read(log) or ""
    kept = paths.LOGS / f"image-{suite}.log"
    files.write(kept, text)
    if "NO_PUBKEY" in text:
        return (
            f"The keys of Debian {suite} are missing here. "
            "Run: apt-get update && apt-get install debian-archive-keyring"
        )
    errors = [line[3:] for line in text.splitlines() if line.startswith("E: ")]
    said = errors[0] if errors else tail(log)
    return f"The {suite} image could not be built: {said.rstrip('.')}. All of it: {kept}."


def furnish(root: Path, wanted: Recipe) -> None:
    """Turn mmdebstrap's tree into what a provider's image is on its first boot."""
    for leftover in (root / "etc/apt/sources.list.d").glob("*"):
        leftover.unlink()
    (root / "etc/apt/sources.list").unlink(missing_ok=True)
    files.write(root / "etc/apt/sources.list.d/debian.sources", wanted.sources)
    # mmdebstrap leaves its own copy of the options behind under this name.
    (root / "etc/apt/apt.conf.d/99mmdebstrap").unlink(missing_ok=True)
    files.write(root / "etc/apt/apt.conf.d/90slipway-lab", wanted.apt)
    for name, text in wanted.furniture.items():
        files.write(root / name, text)
    locale = root / "etc/default/locale"
    locale.unlink(missing_ok=True)
    locale.symlink_to("../locale.conf")
    for number, certificate in enumerate(wanted.certificates):
        name = f"usr/local/share/ca-certificates/lab-host-{number}.crt"
        files.write(root / name, certificate)
    if wanted.certificates:
        run("chroot", str(root), "update-ca-certificates")
    # Host keys belong to a droplet, never to the image.
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()


def prune(in_use: set[Path]) -> None:
    """Remove images that are neither the newest of their recipe's suite nor in use."""
    for suite in SUITES:
        with files.lock(f"image-{suite}"):
            images = sorted(paths.IMAGES.glob(f"{suite}-*"), key=lambda path: built(path) or 0)
            for path in images[:-1]:
                if path not in in_use:
                    remove_tree(path)
        archive = paths.ARCHIVES / suite
        for package in archive.glob("*.deb"):
            # Each droplet that takes a package links it, which sets its change time.
            if time.time() - package.stat().st_ctime > ARCHIVE_DAYS * 86400:
                package.unlink()


def remove_tree(path: Path) -> None:
    """Remove a tree that may not exist; never anything mounted below it."""
    if path.is_symlink() or not path.exists():
        return
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = Path(line.split()[4])
        if point != path and path in point.parents:
            run("umount", "--recursive", "--lazy", str(point), warn=True)
    shutil.rmtree(path)


def seed(suite: str, archives: Path) -> None:
    """Give a new droplet the packages that others have downloaded already, as hard links.

    A bind mount shared by all would make them fight for apt's one lock; links need none, and
    apt itself checks each file against the signed lists before it uses it.
    """
    share(paths.ARCHIVES / suite, archives)


def harvest(suite: str, archives: Path) -> None:
    """Keep what a droplet has downloaded, for those that come later."""
    share(archives, paths.ARCHIVES / suite)


def share(origin: Path, goal: Path) -> None:
    goal.mkdir(parents=True, exist_ok=True)
    for package in origin.glob("*.deb"):
        target = goal / package.name
        if target.exists() or package.is_symlink():
            continue
        try:
            os.link(package, target)
        except FileNotFoundError:
            continue
        except FileExistsError:
            continue
        except OSError:
            # Another file system: a copy, made whole before it gets its name.
            draft = goal / f".{package.name}"
            shutil.copy2(package, draft)
            draft.rename(target)
