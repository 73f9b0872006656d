"""The project's packages: what names them, what lacks, and what has no wheel."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from deploy import build
from deploy.conventions import question
from deploy.errors import Refused
from deploy.packages import for_droplet, uv
from deploy.revision import Revision
from deploy.target import Platform, Target
from doctor import requirements
from doctor.model import Finding, Verdict, fine

# A package of a lock file, without its hashes and comments.
LINE = re.compile(r"^([A-Za-z0-9].*?)\s*(?:\\|--hash|#\s|$)", re.M)
DRIVERS = {"psycopg", "psycopg2", "psycopg2-binary", "psycopg-binary", "psycopg2cffi"}
# The first Django that knows psycopg 3; the first that needs no module cgi, and Python without it.
DJANGO_OF_PSYCOPG_3 = (4, 2)
DJANGO_WITHOUT_CGI = (4, 1)
PYTHON_WITHOUT_CGI = (3, 13)
# uv's own words about packages that come as source alone.
UNBUILT = re.compile(r"[Ff]ailed to (?:download and )?build `([\w.-]+?)==([^`]+)`")
WHEELLESS = re.compile(r"Wheels are required for `([^`]+)`")


@dataclass(frozen=True)
class Packages:
    """Locked packages with their versions, those that cannot be had, and a Python that has them.

    What cannot be had may be missing there.
    """

    versions: dict[str, str]
    missing: tuple[str, ...]
    python: Path


Note = Callable[[str], None]


def look(
    root: Path, revision: Revision, source: Path, target: Target, droplet: Platform, note: Note
) -> tuple[list[Finding], Packages | None]:
    """What hinders the packages, and where they are installed; None where they cannot be.

    Args:
        source: the project. What hinders is put right in it as far as it can be, so that the rest
            can be looked at.
    """
    findings: list[Finding] = []
    missing: list[str] = []

    def lock_for(wanted: Target) -> Path:
        """The lock file, without packages whose source cannot even be asked what it needs."""
        while True:
            try:
                return build.locked(root, source, wanted, droplet, note)
            except Refused as refused:
                named = UNBUILT.search(" ".join(refused.detail))
                if not named or not requirements.drop(source, named[1]):
                    raise
                missing.append(named[1])
                findings.append(_no_wheel(named[1], named[2], droplet))

    try:
        if question(source) is None:
            findings.append(requirements.elsewhere(revision, source))
        lock = lock_for(target)
        extra, lacking = _lacking(versions(lock.read_text(), droplet.python), target.database)
        findings += lacking
        if extra:
            lock = lock_for(replace(target, extra_packages=(*target.extra_packages, *extra)))
    except Refused as refused:
        return findings or [_refused("packages", refused)], None
    cache, found = root / ".slipway" / "cache", versions(lock.read_text(), droplet.python)
    try:
        build.droplet_packages(cache, lock, droplet, note)
        where = f"Python {droplet.python} on {droplet.machine}"
        findings.append(fine("packages", f"all {len(found)} can be had for {where}"))
    except Refused as refused:
        named = [name for name in _sources(lock, droplet) if _fails(lock, name, droplet)]
        findings += [_no_wheel(name, found.get(name, ""), droplet) for name in named]
        findings += [] if named else [_refused("packages", refused)]
        missing += named
    try:
        python = _venv(cache, lock, missing, note)
    except Refused as refused:
        told = f"they cannot be installed on this machine either: {refused.message}"
        return [*findings, Finding("packages", Verdict.PROJECT, told)], None
    return [*findings, _django(found, droplet)], Packages(found, tuple(missing), python)


def versions(lock: str, python: str = "") -> dict[str, str]:
    """The packages of a lock file with their versions; with a Python, those that are for it."""
    found: dict[str, str] = {}
    for line in LINE.findall(lock):
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            continue
        where = {"python_version": python, "python_full_version": f"{python}.0"}
        if not (python and wanted.marker and not wanted.marker.evaluate(where)):
            pinned = (one.version for one in wanted.specifier)
            found[canonicalize_name(wanted.name)] = next(pinned, "")
    return found


def _lacking(found: dict[str, str], database: str) -> tuple[list[str], list[Finding]]:
    """Packages that only a server needs and the project does not name."""
    extra = [] if "gunicorn" in found else ["gunicorn"]
    if database == "postgresql" and not DRIVERS & found.keys():
        modern = _numbers(found.get("django", "")) >= DJANGO_OF_PSYCOPG_3
        extra.append('"psycopg[binary]"' if modern else "psycopg2-binary")
    if not extra:
        told = ", ".join(sorted({"gunicorn", *DRIVERS} & found.keys()))
        return [], [fine("server", f"{told} among the packages")] if told else []
    command = f"site_extra_packages: [{', '.join(extra)}]"
    told = f"{' and '.join(name.strip(chr(34)) for name in extra)} not among the packages"
    return [name.strip('"') for name in extra], [
        Finding("server", Verdict.INVENTORY, told, command)
    ]


def _sources(lock: Path, droplet: Platform) -> list[str]:
    """Every package of the lock file that comes as source alone."""
    text, found = lock.read_text(), list[str]()
    with tempfile.TemporaryDirectory() as folder:
        for _ in versions(text):
            try:
                _try(_without(text, found), droplet, Path(folder), "--dry-run", "--no-build")
                break
            except Refused as refused:
                named = WHEELLESS.search("\n".join(refused.detail))
                if not named:
                    break
                found.append(named[1])
    return found


def _fails(lock: Path, name: str, droplet: Platform) -> bool:
    """Whether it cannot be built for the droplet on this machine."""
    text = lock.read_text()
    with tempfile.TemporaryDirectory() as folder:
        try:
            _try(_without(text, list(versions(text).keys() - {name})), droplet, Path(folder))
        except Refused:
            return True
    return False


def _try(lock: str, droplet: Platform, folder: Path, *options: str) -> None:
    """Install packages for the droplet as a build would, but for what they need in turn."""
    file = folder / "some.txt"
    file.write_text(lock)
    where = ("--target", str(folder / "packages"), "--no-deps", *for_droplet(droplet))
    uv("pip", "install", *where, *options, "--requirement", str(file))


def _without(lock: str, names: list[str]) -> str:
    """A lock file's text without some of its packages."""
    blocks = re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.M)
    return "".join(block for block in blocks if not versions(block).keys() & set(names))


def _no_wheel(name: str, version: str, droplet: Platform) -> Finding:
    told = f"{name} {version} has no wheel for Python {droplet.python}"
    command = "take a version of it that has one, or leave it out"
    if name == "psycopg2":
        command = "name psycopg2-binary instead, which has one"
    return Finding("wheel", Verdict.PROJECT, f"{told}, and cannot be built here", command)


def _venv(cache: Path, lock: Path, missing: list[str], note: Note) -> Path:
    """The Python of a venv of them, if need be without those that cannot be compiled here."""
    try:
        return build.virtual_environment(cache, lock, note)
    except Refused:
        if not missing:
            raise
    with tempfile.TemporaryDirectory() as folder:
        rest = Path(folder, "rest.txt")
        rest.write_text(_without(lock.read_text(), missing))
        return build.virtual_environment(cache, rest, note, whole=False)


def _refused(subject: str, refused: Refused) -> Finding:
    command = ""
    if "does not satisfy Python" in " ".join(refused.detail):
        command = "use a droplet, and a machine here, with a newer Python: Debian 13 has 3.13"
    return Finding(subject, Verdict.PROJECT, refused.message, command)


def _django(found: dict[str, str], droplet: Platform) -> Finding:
    version = found.get("django", "")
    if not version:
        return Finding("Django", Verdict.PROJECT, "Django is not among the packages")
    old = _numbers(version) < DJANGO_WITHOUT_CGI
    if old and _numbers(droplet.python) >= PYTHON_WITHOUT_CGI:
        told = f"Django {version} uses Python's module cgi, which {droplet.python} has no more"
        return Finding("Django", Verdict.PROJECT, told, "take Django 4.2 or newer")
    return fine("Django", version)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])
