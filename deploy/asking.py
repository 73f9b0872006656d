"""Questions to a project, asked in a process with its own packages and no real service."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy import facts_file
from deploy.errors import Refused
from deploy.target import Target

IN_PROJECT = Path(__file__).parent / "in_project.py"
ANSWER = "slipway:"
DETAIL_LINES = 20
# As `python manage.py` does, but that nobody looks for garbage in what is imported, not even at the
# end: a third of the time.
MANAGE = (
    "import gc, os, runpy, sys; gc.set_threshold(100_000); sys.argv[0] = 'manage.py'; "
    "sys.path[0] = os.getcwd(); runpy.run_path('manage.py', run_name='__main__'); gc.freeze()"
)
DATABASE = "sqlite://:memory:"
# What settings read of an add-on. Nobody listens there.
ADDON_VARS = {"redis": {"REDIS_URL": "redis://127.0.0.1:1/0"}}


def ask(
    python: Path,
    source: Path,
    target: Target,
    given: Mapping[str, str],
    files: Path,
    collections: Path | None = None,
    listing: Path | None = None,
    compared: Path | None = None,
) -> Any:
    """Collect the static files, and return the facts that in_project.py tells.

    Args:
        python: of a venv with the project's packages.
        given: config vars; the build's own (`build_env`) win over them.
        files: folder for the static files.
        collections: what was collected before; where it can be used, ``files`` stays empty.
        listing: of the source's files (deploy/exports.py), so that they need not be read.
        compared: names of the migrations; they are not compared with the models if it is there.

    Raises:
        Refused: manage.py does not run, with the end of what it said.
    """
    environment = {
        **bare(python),
        # The packages have none yet, and the next build asks again.
        "PYTHONDONTWRITEBYTECODE": "",
        **stand_ins(target),
        **given,
        # No real service is reached, whatever the config vars say.
        "DATABASE_URL": DATABASE,
        **addon_vars(target),
        **target.build_env,
        "SLIPWAY_STATIC": str(files),
        "SLIPWAY_PACKAGES": python.parents[1].name,
        **({"SLIPWAY_COLLECTIONS": str(collections)} if collections else {}),
        **({"SLIPWAY_LISTING": str(listing)} if listing else {}),
        **({"SLIPWAY_MIGRATIONS": str(compared)} if compared else {}),
    }
    words = ("shell", "--verbosity", "0", "--command")
    done = subprocess.run(
        (python, "-c", MANAGE, *words, IN_PROJECT.read_text()),
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


def bare(python: Path) -> dict[str, str]:
    """The environment of every process that runs a project here: nothing of the caller's own."""
    return {
        "PATH": f"{python.parent}:/usr/bin:/bin",
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def stand_ins(target: Target) -> dict[str, str]:
    """What the droplet makes or knows by itself; the key is another one each time."""
    secret = secrets.token_urlsafe(50)
    return {
        "DJANGO_SECRET_KEY": secret,
        "SECRET_KEY": secret,
        "DJANGO_ALLOWED_HOSTS": target.domain,
        "ALLOWED_HOSTS": target.domain,
    }


def addon_vars(target: Target) -> dict[str, str]:
    """The config vars of the site's add-ons."""
    told = (ADDON_VARS.get(addon, {}) for addon in target.addons)
    return {name: value for variables in told for name, value in variables.items()}


def config_vars_of(root: Path, target: Target) -> tuple[dict[str, str], tuple[str, ...]]:
    """What the environment's own file sets: config vars in plain text, and the names of secrets.

    Expressions are left out: Ansible would have to render them.
    """
    path = facts_file.file_of(root, Path(target.inventory).stem)
    if not path.is_file():
        return {}, ()
    # Here, because the library that keeps YAML's comments takes its time.
    from deploy import config_vars

    listed = config_vars.listed(path)
    plain = {name: value.text or "" for name, value in listed.items() if value.kind == "value"}
    return plain, tuple(name for name, value in listed.items() if value.kind == "secret")
