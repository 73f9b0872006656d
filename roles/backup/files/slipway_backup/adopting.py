"""A bare droplet takes over what a lost one has left in the repository."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

from slipway_backup import files, pgbackrest, store
from slipway_backup.backing import query
from slipway_backup.events import Events
from slipway_backup.programs import lines, run, size
from slipway_backup.settings import Settings, Site, sites
from slipway_backup.trouble import Trouble

# Of a site's folder in /etc what the playbook does not write: its secrets.
SECRETS = "config"
POLL_SECONDS = 1.0


def adopt(settings: Settings) -> dict[str, Any]:
    """Take over the cluster, the sites' secrets and the certificates, once.

    The cluster that the playbook has just made goes. Uploads follow with :func:`media`, when the
    sites have their users.

    Raises:
        Trouble: the droplet is in use, there is nothing in the repository, or it cannot be read.
    """
    known = store.read(store.adopted(settings))
    if known is not None:
        return {**known, "changed": False}
    _check_bare()
    found = pgbackrest.info()
    snapshots = files.snapshots(settings)
    if not found or not snapshots:
        raise Trouble(
            f"There is no backup in {settings.repository} to make this droplet from. Name the "
            "place in site_backup_repository, and its key in site_backup_key"
        )
    snapshot = snapshots[-1]["id"]
    releases = _secrets(settings, snapshot)
    lost = _cluster(settings)
    facts = {"snapshot": snapshot, "releases": releases, "until": lost, "at": store.now()}
    store.write(store.adopted(settings), facts)
    return {**facts, "changed": True}


def _check_bare() -> None:
    live = [site.app for site in sites() if site.release]
    if live:
        raise Trouble(
            f"{', '.join(live)} is live on this droplet: it is not rebuilt over that. To go back "
            "to another state of its database: invoke restore"
        )


def _secrets(settings: Settings, snapshot: str) -> dict[str, Any]:
    """Put back config vars and certificates; says which release of which site was live."""
    target = settings.state / "adopting"
    shutil.rmtree(target, ignore_errors=True)
    try:
        left_out = [f"--exclude={path}" for path in ("/srv/*/media", "/srv/*/data")]
        files.restic(settings, "restore", snapshot, f"--target={target}", *left_out, "--no-lock")
        for site in sorted((target / "etc" / "slipway").glob("*.json")):
            _copy(target / "etc" / site.stem / SECRETS, Path("/etc") / site.stem / SECRETS)
            _copy(target / "etc" / "ssl" / site.stem, Path("/etc/ssl") / site.stem)
        _copy(target / "etc" / "letsencrypt", Path("/etc/letsencrypt"))
        _copy(target / str(settings.state).lstrip("/") / "records", settings.state / "records")
        return {
            path.parents[2].name: json.loads(path.read_text())
            for path in target.glob("srv/*/releases/*/release.json")
        }
    finally:
        shutil.rmtree(target, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    """What is there already, such as a certificate of the playbook's own, is replaced."""
    if source.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        done = run(("cp", "-a", "--remove-destination", f"{source}/.", f"{target}/"))
        if not target.is_dir():
            done = run(("cp", "-a", source, target))
        if done.returncode != 0:
            raise Trouble(f"{target} cannot be put back: {lines(done)[-1]}", lines(done))


def _cluster(settings: Settings) -> str | None:
    """Restore the cluster to all that was archived, in place of the new one; says until when."""
    unit = f"postgresql@{settings.postgres_version}-main.service"
    main = settings.cluster
    coming, fresh = main.with_name("main.adopting"), main.with_name("main.fresh")
    for path in (coming, fresh):
        shutil.rmtree(path, ignore_errors=True)
    pgbackrest.call(f"--pg1-path={coming}", "--type=default", "restore")
    settings_file = coming / "postgresql.auto.conf"
    settings_file.write_text(settings_file.read_text().replace(str(coming), str(main)))
    _systemctl("stop", unit)
    main.rename(fresh)
    coming.rename(main)
    _systemctl("start", unit)
    _wait_until_recovered(unit)
    shutil.rmtree(fresh)
    return query("SELECT pg_last_xact_replay_timestamp()") or None


def _wait_until_recovered(unit: str) -> None:
    """It takes no queries before it is consistent, and writes nothing before it has all."""
    while True:
        try:
            if query("SELECT pg_is_in_recovery()") == "f":
                return
        except Trouble:
            if run(("systemctl", "is-active", "--quiet", unit)).returncode != 0:
                raise
        time.sleep(POLL_SECONDS)


def _systemctl(verb: str, unit: str) -> None:
    done = run(("systemctl", verb, unit))
    if done.returncode != 0:
        raise Trouble(f"{unit} does not {verb}. Look: journalctl -u {unit}", lines(done))


def media(settings: Settings, events: Events) -> dict[str, Any]:
    """Put back the uploads of all sites, and their databases in files, as those of their users.

    Raises:
        Trouble: nothing was taken over, or the repository is damaged.
    """
    known = store.read(store.adopted(settings))
    if known is None:
        raise Trouble("This droplet has taken over nothing. Run: invoke rebuild --from-backup")
    target = settings.scratch / "files"
    shutil.rmtree(target, ignore_errors=True)
    count = 0
    try:
        events.note("fetching uploads and databases in files")
        paths = [f"--include={path}" for path in ("/srv/*/media", "/srv/*/data")]
        paths.append(f"--include={settings.state / 'sqlite'}")
        files.restic(
            settings, "restore", known["snapshot"], f"--target={target}", *paths, "--no-lock"
        )
        for site in sites():
            copies = target / str(settings.state).lstrip("/") / "sqlite" / site.app
            count += _give(site, target / str(site.root).lstrip("/") / "media", "media", "www-data")
            count += _give(site, target / str(site.root).lstrip("/") / "data", "data", site.app)
            count += _give(site, copies, "data", site.app)
    finally:
        shutil.rmtree(target, ignore_errors=True)
    store.write(store.adopted(settings), {**known, "back": store.now()})
    events.note(f"{size(count)} of uploads are back")
    return {"bytes": count, **known}


def _give(site: Site, source: Path, name: str, group: str) -> int:
    """Copy a folder's content into one of the site's, as its own."""
    if not source.is_dir():
        return 0
    whole = sum(path.lstat().st_size for path in source.rglob("*") if path.is_file())
    for argv in (
        ("chown", "-hR", f"{site.app}:{group}", source),
        ("cp", "-a", f"{source}/.", f"{site.root / name}/"),
    ):
        done = run(argv)
        if done.returncode != 0:
            raise Trouble(f"{site.root / name} cannot be put back: {lines(done)[-1]}", lines(done))
    return whole
