"""Build: a git revision becomes an artifact. Nothing here talks to a droplet."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from packaging.version import Version

from deploy import sbom
from deploy.artifact import TREE, Artifact, Platform, assemble, digest_of, tree_of
from deploy.conventions import locked_requirements, python_problem
from deploy.errors import Refused
from deploy.host.procfile import processes, web_problem
from deploy.kept import kept
from deploy.packages import unpack, uv
from deploy.revision import Revision, export
from deploy.target import Target

CONTROLLER_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
IN_PROJECT = Path(__file__).parent / "in_project.py"
ANSWER = "slipway:"
DETAIL_LINES = 20
# What settings read of an add-on. Nobody listens there.
ADDON_VARS = {"redis": {"REDIS_URL": "redis://127.0.0.1:1/0"}}
# Warnings of these checks are holes that visitors could feel: `check --deploy` has to have none.
SECURITY_CHECKS = "security."
SECURITY_ADVICE = (
    "Set these right; give the variables that do it to site_build_env in the inventory; or, with a "
    "reason beside it, list the check in SILENCED_SYSTEM_CHECKS of the settings"
)


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
    source = kept(cache / "source" / revision.tree, lambda draft: export(revision, draft))
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
    lock = digest_of([requirements.read_text(), droplet.python, droplet.machine])[:16]
    packages = _packages(cache, requirements, droplet, lock, note)
    listed = kept(cache / "sbom" / lock, lambda draft: sbom.write(packages, lock, draft))
    collected = _collect(cache, source, requirements, target, revision.tree, note)
    facts = json.loads((collected / "facts.json").read_text())
    warnings = _judge(facts, source, target)
    facts["processes"] = _processes(source, target, facts)
    return assemble(
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
        unpack(requirements, droplet, draft, note)
        names = tree_of(draft, {})
        (draft / TREE).write_text(json.dumps(names))

    return kept(cache / "packages" / lock, install)


def _collect(
    cache: Path,
    source: Path,
    requirements: Path,
    target: Target,
    tree: str,
    note: Callable[[str], None],
) -> Path:
    """The project's static files, collected, and what Django says of the project."""
    local_lock = digest_of([requirements.read_text(), CONTROLLER_PYTHON, "controller"])[:16]

    def install(draft: Path) -> None:
        note(f"locked packages for Python {CONTROLLER_PYTHON} on this machine")
        uv("venv", "--python", sys.executable, str(draft))
        uv(
            "pip", "install", "--python", str(draft), "--require-hashes", "--compile-bytecode",
            "--requirement", str(requirements),
        )  # fmt: skip

    venv = kept(cache / "venv" / local_lock, install, movable=False)
    inputs = [tree, local_lock, json.dumps(dict(target.build_env), sort_keys=True)]
    inputs += [IN_PROJECT.read_text(), target.domain, *target.addons]

    def collect(draft: Path) -> None:
        note("collectstatic")
        facts = _ask_project(venv / "bin" / "python", source, target, draft / "files")
        (draft / "facts.json").write_text(json.dumps(facts))

    return kept(cache / "static" / digest_of(inputs)[:16], collect)


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
        **{
            name: value
            for addon in target.addons
            for name, value in ADDON_VARS.get(addon, {}).items()
        },
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
        "Variables it needs to be built go to site_build_env in the inventory. Mend it and run: "
        "invoke deploy",
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
