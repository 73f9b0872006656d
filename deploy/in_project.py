"""Runs inside the project, through ``manage.py shell``: collect, check, and say what there is.

Static files go to the folder in SLIPWAY_STATIC, wherever STATIC_ROOT points to. No database is
touched: what would be read from one is read from an empty one in memory.

SLIPWAY_COLLECTIONS is a folder of what was collected before, by what it was made of. Thousands of
files take Django half a minute; where they are what they were, nothing is collected again. Nor are
they read, where SLIPWAY_LISTING (deploy/exports.py) says what is in them.

SLIPWAY_MIGRATIONS is a file with the names of the migrations, where these were compared with these
models before (deploy/answers.py). Then none of them is imported.
"""

import hashlib
import io
import json
import os
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.files.storage import FileSystemStorage
from django.core.management import CommandError, call_command
from django.db.migrations.loader import MigrationLoader

# What is kept of a collection beside its files (deploy/collection.py) is of this kind.
KEPT_AS = 3
# A relative one is meant from the project's folder, where it is run here as on the droplet.
static_root = os.path.abspath(settings.STATIC_ROOT) if settings.STATIC_ROOT else ""  # noqa: PTH100
hashed, manifest, collection = [], None, ""


def known_contents() -> Callable[[str], str]:
    """What gives a file's digest: without reading it, where it is as it was exported."""
    listing = os.environ.get("SLIPWAY_LISTING")
    # deploy/host/trees.py is not here.
    text = pathlib.Path(listing).read_bytes() if listing else b"\0"
    _, *told, _ = os.fsdecode(text).split("\0")
    files = dict(zip(told[::2], told[1::2], strict=True))
    inside = f"{os.getcwd()}/"  # noqa: PTH109

    def content_of(path: str) -> str:
        known = files.get(path.removeprefix(inside), "")
        # Thousands of times: no place for Path.
        s = os.stat(path)  # noqa: PTH116
        if known.endswith(f" {s.st_dev} {s.st_ino} {s.st_mtime_ns} {s.st_size} {s.st_mode}"):
            return known[:64]
        return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()

    return content_of


def made_of(storage: Any) -> str:
    """A name for all that collectstatic reads; "" where it is not Django's or WhiteNoise's own.

    The packages are those of SLIPWAY_PACKAGES, so their code is known by that.
    """
    from django.contrib.staticfiles.finders import get_finders
    from django.core.management import get_commands

    finders = list(get_finders())
    # Not type(): Django hands the storage out wrapped.
    kinds = [one.__class__.__mro__[:-1] for one in (storage, *finders)]
    owners = [kind.__module__ for each in kinds for kind in each]
    command = get_commands()["collectstatic"]
    owners.append(command if isinstance(command, str) else type(command).__module__)
    if {owner.partition(".")[0] for owner in owners} - {"django", "whitenoise"}:
        return ""
    beginnings = ("STATIC", "STORAGES", "WHITENOISE")
    names = {name for name in dir(settings) if name.startswith(beginnings)}
    told = {name: getattr(settings, name) for name in names - {"STATIC_ROOT"}}
    ignored = apps.get_app_config("staticfiles").ignore_patterns
    facts = [KEPT_AS, os.environ["SLIPWAY_PACKAGES"], settings.DEBUG, ignored, sorted(told.items())]
    hasher = hashlib.sha256(repr(facts).encode())
    content_of = known_contents()
    for finder in finders:
        # What is ignored as well: to leave it out takes longer than to name it.
        for name, place in finder.list([]):
            # To join safely what a storage has listed itself takes longer than all the rest.
            plain = type(place) is FileSystemStorage
            content = content_of(f"{place.location}/{name}" if plain else place.path(name))
            hasher.update(f"{getattr(place, 'prefix', '')}\0{name}\0{content}\n".encode())
    return hasher.hexdigest()[:32]


if static_root and apps.is_installed("django.contrib.staticfiles"):
    # As on Heroku: such a project has them in its repository, collected. Their storage reads its
    # manifest from STATIC_ROOT when it is imported.
    collected = os.environ.get("DISABLE_COLLECTSTATIC")
    if not collected:
        settings.STATIC_ROOT = os.environ["SLIPWAY_STATIC"]
    from django.contrib.staticfiles.storage import staticfiles_storage

    collections = os.environ.get("SLIPWAY_COLLECTIONS")
    if collections and not collected:
        collection = made_of(staticfiles_storage)
    known = pathlib.Path(collections or "", collection, "told.json")
    if collection and known.exists():
        # Of what was collected before, the names are known.
        _, manifest = json.loads(known.read_text())
    else:
        if collected:
            shutil.copytree(static_root, os.environ["SLIPWAY_STATIC"])
        else:
            call_command("collectstatic", interactive=False, verbosity=0)
        hashed = sorted(set(getattr(staticfiles_storage, "hashed_files", {}).values()))
        manifest = getattr(staticfiles_storage, "manifest_name", None)
        if manifest and not pathlib.Path(os.environ["SLIPWAY_STATIC"], manifest).exists():
            manifest = None
pathlib.Path(os.environ["SLIPWAY_STATIC"]).mkdir(exist_ok=True)


def differences() -> tuple[list[str], dict[str, set[str]]]:
    """What models have without a migration, and migrations that conflict, by their app."""
    changes = io.StringIO()
    try:
        # Nobody is there who could be asked whether a field was renamed.
        told = {"interactive": False, "stdout": changes}
        call_command("makemigrations", check_changes=True, dry_run=True, **told)
    except SystemExit:
        said = changes.getvalue().splitlines()
        # A field that needs a default is told in a sentence, before anything else is.
        missing = [line.strip() for line in said if line.startswith(" ")]
        missing = missing or [line.rstrip(".") for line in said] or ["Django does not say which"]
        return missing, {}
    except CommandError:
        conflicts = MigrationLoader(None, ignore_no_migrations=True).detect_conflicts()
        if not conflicts:
            raise
        return [], conflicts
    return [], {}


missing: list[str] = []
conflicts: dict[str, set[str]] = {}
compared = pathlib.Path(os.environ.get("SLIPWAY_MIGRATIONS", ""))
if compared.is_file():
    migrations = json.loads(compared.read_text())
else:
    missing, conflicts = differences()
    # Their graph is not wanted again, which takes as long as all of them.
    loader = MigrationLoader(None, load=False)
    loader.load_disk()
    migrations = sorted(f"{app}.{name}" for app, name in loader.disk_migrations)

# module.attribute, as Gunicorn writes it
application = (getattr(settings, "WSGI_APPLICATION", None) or "").rpartition(".")
# As `manage.py check --deploy` does: what the settings acknowledge is not told.
found = [m for m in checks.run_checks(include_deployment_checks=True) if not m.is_silenced()]
print(
    "slipway:"
    + json.dumps(
        {
            "debug": bool(settings.DEBUG),
            "application": f"{application[0]}:{application[2]}" if application[0] else "",
            "static_root": static_root,
            "static_url": settings.STATIC_URL or "",
            "hashed": hashed,
            "manifest": manifest,
            "collection": collection,
            "changes": missing,
            "conflicts": [f"{app}: {', '.join(sorted(names))}" for app, names in conflicts.items()],
            "migrations": migrations,
            "errors": [f"{m.id}: {m.msg}" for m in found if m.level >= checks.ERROR],
            "warnings": [f"{m.id}: {m.msg}" for m in found if m.level == checks.WARNING],
        }
    )
)
