"""Runs inside the project, through ``manage.py shell``: collect, check, and say what there is.

Static files go to the folder in SLIPWAY_STATIC, wherever STATIC_ROOT points to. No database is
touched: what would be read from one is read from an empty one in memory.
"""

import io
import json
import os
import pathlib
import shutil

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.management import call_command
from django.db.migrations.loader import MigrationLoader

# A relative one is meant from the project's folder, where it is run here as on the droplet.
static_root = os.path.abspath(settings.STATIC_ROOT) if settings.STATIC_ROOT else ""  # noqa: PTH100
hashed, manifest = [], None
if static_root and apps.is_installed("django.contrib.staticfiles"):
    # As on Heroku: such a project has them in its repository, collected. Their storage reads its
    # manifest from STATIC_ROOT when it is imported.
    collected = os.environ.get("DISABLE_COLLECTSTATIC")
    if not collected:
        settings.STATIC_ROOT = os.environ["SLIPWAY_STATIC"]
    from django.contrib.staticfiles.storage import staticfiles_storage

    if collected:
        shutil.copytree(static_root, os.environ["SLIPWAY_STATIC"])
    else:
        call_command("collectstatic", interactive=False, verbosity=0)
    hashed = sorted(set(getattr(staticfiles_storage, "hashed_files", {}).values()))
    manifest = getattr(staticfiles_storage, "manifest_name", None)
    if manifest and not pathlib.Path(os.environ["SLIPWAY_STATIC"], manifest).exists():
        manifest = None
pathlib.Path(os.environ["SLIPWAY_STATIC"]).mkdir(exist_ok=True)

changes = io.StringIO()
try:
    call_command("makemigrations", check_changes=True, dry_run=True, stdout=changes)
    missing = []
except SystemExit:
    missing = [line.strip() for line in changes.getvalue().splitlines() if line.startswith(" ")]

# module.attribute, as Gunicorn writes it
application = (getattr(settings, "WSGI_APPLICATION", None) or "").rpartition(".")
loader = MigrationLoader(None, ignore_no_migrations=True)
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
            "changes": missing,
            "conflicts": [
                f"{app}: {', '.join(sorted(names))}"
                for app, names in loader.detect_conflicts().items()
            ],
            "migrations": sorted(f"{app}.{name}" for app, name in loader.disk_migrations),
            "errors": [f"{m.id}: {m.msg}" for m in found if m.level >= checks.ERROR],
            "warnings": [f"{m.id}: {m.msg}" for m in found if m.level == checks.WARNING],
        }
    )
)
