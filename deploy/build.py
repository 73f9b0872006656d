"""Build: a git revision becomes an artifact. Nothing here talks to a droplet."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.version import Version

from deploy import sbom
from deploy.conventions import locked_requirements, python_problem
from deploy.errors import Refused
from deploy.host.procfile import processes, web_problem
from deploy.packages import uv
from deploy.revision import Revision, export
from deploy.target import Target

CONTROLLER_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
IN_PROJECT = Path(__file__).parent / "in_project.py"
ANSWER = "slipway:"
# The oldest glibc of the droplets we support is 2.36 (Debian 12); wheels are rarely built for
# anything newer than this tag, which is Debian 10's.
WHEEL_GLIBC = "2_28"
COMPRESSED_SUFFIXES = (".css", ".js", ".mjs", ".svg", ".html", ".json", ".txt", ".xml", ".map")
COMPRESSED_FROM_BYTES = 500
KEPT_BUILDS = 5
# Object names of the packages, beside them: thousands of files need not be read at each build.
TREE = ".tree.json"
# Reads migrations on the droplet, where the database is; it is no part of the project.
JUDGE = ("django-migration-linter", "appdirs", "toml")
DETAIL_LINES = 20
# Warnings of these checks are holes that visitors could feel: `check --deploy` has to have none.
SECURITY_CHECKS = "security."
SECURITY_ADVICE = (
    "Set these right; give the variables that do it to build_env in the inventory; or, with a "
    "reason beside it, list the check in SILENCED_SYSTEM_CHECKS of the settings"
)


@dataclass(frozen=True)
class Platform:
    """The droplet's Python ("3.13") and machine ("x86_64")."""

    python: str
    machine: str


@dataclass(frozen=True)
class Artifact:
    """A built revision: trees of object names, and where each object's bytes are.

    ``digest`` is of what would run, not of who built it: equal digests are equal releases.
    """

    revision: Revision
    source: Path
    digest: str
    manifest: Mapping[str, Any]
    blobs: Mapping[str, Path]
    warnings: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of all objects together."""
        return sum(self.manifest["sizes"].values())

    def compressed_manifest(self, locks: Container[str]) -> bytes:
        """What the droplet is told, without the packages of a lock that it has already."""
        told = dict(self.manifest)
        if told["lock"] in locks:
            told["venv"] = {}
        trees = (told[tree] for tree in ("app", "static", "assets", "judge", "sbom", "venv"))
        named = {name for tree in trees for name in tree.values()}
        told["sizes"] = {name: told["sizes"][name] for name in named}
        return zlib.compress(json.dumps(told).encode())

    def pack(self, names: Iterable[str], folder: Path) -> Path:
        """A gzipped tar of the named objects, as a file in ``folder``."""
        path = folder / "pack.tar.gz"
        with tarfile.open(path, "w:gz", compresslevel=5, dereference=True) as tar:
            for name in names:
                tar.add(self.blobs[name], arcname=name)
        return path


def build(
    root: Path,
    revision: Revision,
    target: Target,
    droplet: Platform,
    note: Callable[[str], None],
) -> Artifact:
    """Make the artifact of a revision, reusing what earlier builds made of equal inputs.

    Args:
        root: this repository, whose .slipway/ keeps what was built.
        droplet: what the wheels are for.
        note: told what takes long.

    Raises:
        Refused: the project cannot be built as it is; nothing was changed anywhere.
    """
    cache = root / ".slipway" / "cache"
    source = _kept(cache / "source" / revision.tree, lambda draft: export(revision, draft))
    problem = python_problem(source, target.project, droplet.python)
    if problem:
        raise Refused(problem)
    requirements = locked_requirements(
        source,
        target.project,
        target.extra_packages,
        min(droplet.python, CONTROLLER_PYTHON, key=Version),
        root / ".slipway" / "locks",
        note,
    )
    lock = _digest([requirements.read_text(), droplet.python, droplet.machine])[:16]
    packages = _packages(cache, requirements, droplet, lock, note)
    listed = _kept(cache / "sbom" / lock, lambda draft: sbom.write(packages, lock, draft))
    collected = _collect(cache, source, requirements, target, revision.tree, note)
    facts = json.loads((collected / "facts.json").read_text())
    warnings = _judge(facts, source, target)
    facts["processes"] = _processes(source, target, facts)
    return _artifact(
        cache, revision, source, packages, listed, collected, facts, lock, droplet, warnings
    )


def _processes(source: Path, target: Target, facts: Mapping[str, Any]) -> dict[str, str]:
    """Process types and commands of the Procfile; without a web line the one its settings make."""
    path = source / "Procfile"
    found = processes(path.read_text()) if path.exists() else {}
    if "web" in found:
        problem = web_problem(found["web"], facts["application"] or "mysite.wsgi")
        if problem:
            raise Refused(f"{target.project}/Procfile: web {problem}")
        return found
    if not facts["application"]:
        raise Refused(
            f"{target.project}/Procfile has no web process, and the settings have no "
            "WSGI_APPLICATION. Write one, for example: web: gunicorn mysite.wsgi"
        )
    return {**found, "web": f"gunicorn {facts['application']}"}


def _packages(
    cache: Path,
    requirements: Path,
    droplet: Platform,
    lock: str,
    note: Callable[[str], None],
) -> Path:
    """The locked packages for the droplet's Python, unpacked."""

    def install(draft: Path) -> None:
        note(f"locked packages for Python {droplet.python} on {droplet.machine}")
        uv(
            "pip", "install", "--target", str(draft), "--require-hashes",
            "--python-version", droplet.python,
            "--python-platform", f"{droplet.machine}-manylinux_{WHEEL_GLIBC}",
            "--only-binary", ":all:", "--link-mode", "copy",
            "--requirement", str(requirements),
        )  # fmt: skip
        # Scripts with this machine's paths; the droplet writes its own.
        shutil.rmtree(draft / "bin", ignore_errors=True)
        (draft / ".lock").unlink(missing_ok=True)
        names = _tree(draft, {})
        (draft / TREE).write_text(json.dumps(names))

    return _kept(cache / "packages" / lock, install)


def _collect(
    cache: Path,
    source: Path,
    requirements: Path,
    target: Target,
    tree: str,
    note: Callable[[str], None],
) -> Path:
    """The project's static files, collected, and what Django says of the project."""
    local_lock = _digest([requirements.read_text(), CONTROLLER_PYTHON, "controller"])[:16]

    def install(draft: Path) -> None:
        note(f"locked packages for Python {CONTROLLER_PYTHON} on this machine")
        uv("venv", "--python", sys.executable, str(draft))
        uv(
            "pip", "install", "--python", str(draft), "--require-hashes", "--compile-bytecode",
            "--requirement", str(requirements),
        )  # fmt: skip

    venv = _kept(cache / "venv" / local_lock, install, movable=False)
    inputs = [tree, local_lock, json.dumps(dict(target.build_env), sort_keys=True)]
    inputs += [IN_PROJECT.read_text(), target.domain]

    def collect(draft: Path) -> None:
        note("collectstatic")
        facts = _ask_project(venv / "bin" / "python", source, target, draft / "files")
        (draft / "facts.json").write_text(json.dumps(facts))

    return _kept(cache / "static" / _digest(inputs)[:16], collect)


def _ask_project(python: Path, source: Path, target: Target, files: Path) -> dict[str, Any]:
    """Run in_project.py in the project, with settings that reach no real service."""
    environment = {
        "PATH": f"{python.parent}:/usr/bin:/bin",
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "DJANGO_SECRET_KEY": (secret := secrets.token_urlsafe(50)),
        "SECRET_KEY": secret,
        "DJANGO_ALLOWED_HOSTS": target.domain,
        "ALLOWED_HOSTS": target.domain,
        "DATABASE_URL": "sqlite://:memory:",
        **target.build_env,
        "SLIPWAY_STATIC": str(files),
    }
    done = subprocess.run(
        (python, "manage.py", "shell", "--verbosity", "0", "--command", IN_PROJECT.read_text()),
        cwd=source,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    for line in done.stdout.splitlines():
        if line.startswith(ANSWER):
            return dict(json.loads(line.removeprefix(ANSWER)))
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    cause = said[-1] if said else f"exit status {done.returncode}"
    raise Refused(
        f"{target.project}/manage.py does not run in this revision: {cause}. "
        "Variables it needs to be built go to build_env in the inventory",
        said[-DETAIL_LINES:],
    )


def _judge(facts: Mapping[str, Any], source: Path, target: Target) -> tuple[str, ...]:
    """Refuse a project that could not be served; returns warnings."""
    problems = []
    if facts["debug"]:
        problems.append("DEBUG is on unless a variable says otherwise; make it off by default")
    if facts["changes"]:
        problems.append(
            f"models have changes without a migration ({'; '.join(facts['changes'])}); "
            "run: manage.py makemigrations"
        )
    if facts["conflicts"]:
        problems.append(
            f"migrations conflict ({'; '.join(facts['conflicts'])}); "
            "run: manage.py makemigrations --merge"
        )
    root = facts["static_root"]
    if not root:
        problems.append("STATIC_ROOT is not set; set it to BASE_DIR / 'staticfiles'")
    elif not Path(root).resolve().is_relative_to(source.resolve()):
        problems.append(f"STATIC_ROOT is {root}; set it to BASE_DIR / 'staticfiles'")
    problems += facts["errors"]
    insecure = [text for text in facts["warnings"] if text.startswith(SECURITY_CHECKS)]
    if insecure:
        problems += [*insecure, SECURITY_ADVICE]
    if problems:
        raise Refused(f"{target.project}/ cannot be deployed: {problems[0]}", problems[1:])
    warnings = list(facts["warnings"])
    if not facts["manifest"]:
        warnings.append(
            "static files are not hashed; with ManifestStaticFilesStorage browsers can keep them"
        )
    return tuple(warnings)


def _artifact(
    cache: Path,
    revision: Revision,
    source: Path,
    packages: Path,
    listed: Path,
    collected: Path,
    facts: Mapping[str, Any],
    lock: str,
    droplet: Platform,
    warnings: tuple[str, ...],
) -> Artifact:
    blobs: dict[str, Path] = {}
    files = collected / "files"
    names = {str(p.relative_to(files)): p for p in sorted(files.rglob("*")) if p.is_file()}
    app = _tree(source, blobs)
    if facts["manifest"]:
        place = Path(facts["static_root"]).resolve().relative_to(source.resolve())
        path = names.pop(facts["manifest"])
        app[str(place / facts["manifest"])] = _object(path, blobs)
    hashed = set(facts["hashed"])
    assets, static = {}, {}
    for name, path in names.items():
        if name.removesuffix(".gz").removesuffix(".br") not in hashed:
            static[name] = _object(path, blobs)
            continue
        assets[name] = _object(path, blobs)
        squeezed = None if f"{name}.gz" in names else _compressed(cache, path, assets[name])
        if squeezed:
            assets[f"{name}.gz"] = _object(squeezed, blobs)
    trees = {
        "app": app,
        "static": static,
        "assets": assets,
        "venv": _packages_tree(packages, blobs),
    }
    judge = {str(path): _object(Path(path.locate()), blobs) for path in _judge_files()}
    digest = _digest([json.dumps(trees, sort_keys=True), lock, droplet.python])
    manifest = {
        **trees,
        "judge": judge,
        "sbom": _tree(listed, blobs),
        "revision": revision.commit,
        "subject": revision.subject,
        "author": revision.author,
        "artifact": digest,
        "lock": lock,
        "python": droplet.python,
        "migrations": facts["migrations"],
        "static_url": facts["static_url"],
        "processes": facts["processes"],
        "sizes": {name: path.stat().st_size for name, path in blobs.items()},
    }
    return Artifact(revision, source, digest, manifest, blobs, warnings)


def _judge_files() -> list[metadata.PackagePath]:
    """django-migration-linter and what it needs beside Django, as they are installed here."""
    files = (file for name in JUDGE for file in metadata.distribution(name).files or ())
    return [file for file in files if file.suffix == ".py"]


def _packages_tree(packages: Path, blobs: dict[str, Path]) -> dict[str, str]:
    """The packages' object names, as they were when they were installed."""
    tree: dict[str, str] = json.loads((packages / TREE).read_text())
    for path, name in tree.items():
        blobs.setdefault(name, packages / path)
    return tree


def _tree(folder: Path, blobs: dict[str, Path]) -> dict[str, str]:
    paths = [p for p in sorted(folder.rglob("*")) if p.suffix != ".pyc"]
    for path in filter(Path.is_symlink, paths):
        leads = path.resolve()
        if not leads.is_relative_to(folder.resolve()) or not leads.is_file():
            name = path.relative_to(folder)
            raise Refused(
                f"{name} is a link to {path.readlink()}, which is no file of the project. "
                "Commit what it leads to instead"
            )
    paths = [path for path in paths if path.is_file()]
    return {str(path.relative_to(folder)): _object(path, blobs) for path in paths}


def _object(path: Path, blobs: dict[str, Path]) -> str:
    with path.open("rb") as file:
        name = hashlib.file_digest(file, "sha256").hexdigest()
    if os.access(path, os.X_OK):
        name += "x"
    blobs.setdefault(name, path)
    return name


def _compressed(cache: Path, path: Path, name: str) -> Path | None:
    """The gzipped twin of a file for Nginx's gzip_static, or None when it saves little."""
    size = path.stat().st_size
    if path.suffix not in COMPRESSED_SUFFIXES or size < COMPRESSED_FROM_BYTES:
        return None
    twin = cache / "gzip" / name
    if not twin.exists():
        twin.parent.mkdir(parents=True, exist_ok=True)
        draft = twin.with_name(f".{name}.{os.getpid()}")
        draft.write_bytes(gzip.compress(path.read_bytes(), compresslevel=9, mtime=0))
        draft.rename(twin)
    return twin if twin.stat().st_size < size * 0.95 else None


def _kept(path: Path, make: Callable[[Path], None], movable: bool = True) -> Path:
    """The folder ``path``, made by ``make`` when it is not there, whole or not at all.

    Args:
        movable: False for folders that know their own path (virtual environments); a marker
            file then says that they are whole.
    """
    marker = path / ".whole"
    if path.exists() and (movable or marker.exists()):
        os.utime(path)
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    if movable:
        draft = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            make(draft)
            draft.chmod(0o755)
            # Another build may have been faster; its result is the same.
            if not path.exists():
                draft.rename(path)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    else:
        shutil.rmtree(path, ignore_errors=True)
        make(path)
        marker.touch()
    _forget_old(path.parent)
    return path


def _forget_old(folder: Path) -> None:
    """Keep the builds used last."""
    kept = sorted((p for p in folder.iterdir() if p.is_dir()), key=lambda p: p.stat().st_mtime)
    for path in kept[:-KEPT_BUILDS]:
        shutil.rmtree(path, ignore_errors=True)


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
