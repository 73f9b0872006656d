"""Migrations of a release that is not live, applied to a restored backup first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from slipway_backup import pgbackrest, project, restoring, running, scratch
from slipway_backup.backing import query
from slipway_backup.events import Events
from slipway_backup.settings import Settings
from slipway_backup.trouble import Trouble

SCRIPT = Path(__file__).with_name("in_django_rehearse.py")
ANSWER = "slipway:"


def rehearse(settings: Settings, events: Events) -> dict[str, Any]:
    """Restore the newest backup beside the site, and let a release migrate it there.

    Raises:
        Trouble: there is no backup or no room, or a migration fails on this data.
    """
    asked = running.request(settings, "rehearse")
    site, release = restoring.site_of(asked["app"]), asked["release"]
    found = pgbackrest.info()
    if not found:
        raise Trouble("There is no backup yet. Run: invoke backup")
    label, whole = found[-1]["label"], found[-1]["info"]["size"]
    # A migration may write a table anew.
    scratch.check_room(settings, 2 * whole, f"Restoring {label} and migrating it")
    options = (f"--set={label}", "--type=immediate", "--target-action=promote")
    preload = query("SHOW shared_preload_libraries")
    with scratch.restored(settings, events, options, preload, whole) as socket:
        events.note(f"release {release} migrates it")
        said = project.script(site, release, socket, SCRIPT.read_text())
    for line in said.splitlines():
        if line.startswith(ANSWER):
            migrations = json.loads(line.removeprefix(ANSWER))
            return {"backup": label, "release": release, "migrations": migrations}
    raise Trouble(f"Release {release} did not say what its migrations did", said.splitlines()[-10:])
