"""Uploads, databases in files, and the host's own secrets: by restic, as root."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slipway_backup import scratch, store
from slipway_backup.events import Events
from slipway_backup.programs import identity, lines, run, size
from slipway_backup.settings import Settings, Site, sites
from slipway_backup.trouble import Trouble

KEY = Path("/etc/slipway-backup/key")
CACHE = "/var/cache/slipway-backup"
TAG = "slipway"
SQLITE = b"SQLite format 3\0"
BESIDE = ("-wal", "-shm", "-journal")
# As the site's own user: a link in its folder leads to nothing that it could not read itself.
COPY = (
    "import sqlite3, sys\n"
    "source = sqlite3.connect('file:' + sys.argv[1] + '?mode=rw', uri=True)\n"
    "source.backup(sqlite3.connect(sys.argv[2]))\n"
)
HOST = ("/etc/letsencrypt", "/etc/slipway")
HOST_KEYS = "ssh_host_*"
# restic's exit code when a file was gone or unreadable by the time it came to it.
PARTLY = 3
MEANINGS = {
    "wrong password": "The repository of the files cannot be read with the key that this droplet "
    "has. Put the key that it was written with into site_backup_key, then run: "
    "ansible-playbook site.yml",
    "no space left": "The disk is full. Make room, then run it again. Look: df -h",
    "ciphertext verification failed": "A file of the repository of the files is damaged. Find out "
    "what damaged it",
    "does not match": "A file of the repository of the files is damaged. Find out what damaged it",
    "unable to open config file": "There is no repository of the files. Run: "
    "ansible-playbook site.yml",
}


def restic(settings: Settings, *options: str | Path, partly: bool = False) -> str:
    """Run a command of restic; returns its output.

    Args:
        partly: a backup without some files is one.

    Raises:
        Trouble: it failed, with what its error means here.
    """
    environment = {
        "RESTIC_REPOSITORY": settings.files_repository,
        "RESTIC_PASSWORD_FILE": str(KEY),
        "RESTIC_CACHE_DIR": CACHE,
        **settings.environment,
    }
    done = run(("restic", *settings.files_options, *options), environment=environment)
    if done.returncode == 0 or (partly and done.returncode == PARTLY):
        return done.stdout
    said = (done.stdout + done.stderr).lower()
    known = (sentence for word, sentence in MEANINGS.items() if word in said)
    last = (lines(done) or ["it said nothing"])[-1]
    raise Trouble(next(known, f"restic failed: {last}"), lines(done))


def backup(settings: Settings, events: Events) -> dict[str, Any]:
    """Back up what is in files, and forget snapshots that are older than is kept.

    Raises:
        Trouble: it failed.
    """
    events.note("backing up uploads, databases in files, keys and certificates")
    # Ours is the only process that writes there; a lock is what a killed one left.
    restic(settings, "unlock", "--quiet")
    copies = settings.state / "sqlite"
    shutil.rmtree(copies, ignore_errors=True)
    try:
        left_out = [path for site in sites() for path in _copy_databases(site, copies)]
        excluded = [f"--exclude={_escaped(path)}" for path in left_out]
        argv = ("backup", "--json", f"--host={socket.gethostname()}", f"--tag={TAG}", *excluded)
        told = restic(settings, *argv, "--", *sorted({*_paths(settings)}), partly=True)
    finally:
        shutil.rmtree(copies, ignore_errors=True)
    summary = _summary(told)
    # Of this hour the newest is kept, and not the one that uploads are to come back from.
    if not store.awaited(settings):
        kept = ("forget", "--quiet", f"--tag={TAG}", "--group-by=host", *settings.keep_files)
        restic(settings, *kept)
    facts = {
        "at": store.now(),
        "bytes": summary["total_bytes_processed"],
        "added": summary["data_added"],
    }
    store.write(settings.state / "snapshots" / f"{summary['snapshot_id'][:8]}.json", facts)
    events.note(f"{size(facts['bytes'])} in files, {size(facts['added'])} of them new")
    return {"id": summary["snapshot_id"][:8], **facts}


def prune(settings: Settings, events: Events) -> None:
    """Remove from the repository what no snapshot holds any more."""
    events.note("removing what no snapshot holds any more")
    restic(settings, "prune", "--quiet")


def snapshots(settings: Settings) -> list[dict[str, Any]]:
    """The snapshots, oldest first, with their sizes where this droplet made them."""
    told = json.loads(restic(settings, "snapshots", "--json", f"--tag={TAG}", "--no-lock") or "[]")
    known = dict(store.folder(settings, "snapshots"))
    found = [
        {"id": each["short_id"], "at": each["time"], **known.get(each["short_id"], {})}
        for each in told or []
    ]
    for gone in known.keys() - {each["id"] for each in found}:
        (settings.state / "snapshots" / f"{gone}.json").unlink(missing_ok=True)
    return found


def verify(settings: Settings, events: Events) -> dict[str, Any]:
    """Restore the newest snapshot beside everything, each file held against its checksum.

    Raises:
        Trouble: a file is damaged, or there is no room for all of them.
    """
    # What the repository holds is to be proved, not what is cached of it here.
    options = ("latest", f"--tag={TAG}", "--no-lock", "--no-cache")
    stats = json.loads(restic(settings, "stats", *options, "--json"))
    scratch.check_room(settings, stats["total_size"], "Restoring the files")
    events.note(f"restoring {size(stats['total_size'])} of files, and reading them again")
    target = settings.scratch / "files"
    shutil.rmtree(target, ignore_errors=True)
    try:
        restic(settings, "restore", *options, f"--target={target}", "--verify")
    finally:
        shutil.rmtree(target, ignore_errors=True)
    return {"bytes": stats["total_size"], "files": stats["total_file_count"]}


def prepare(settings: Settings) -> bool:
    """Make the repository if there is none; returns whether there was none.

    Raises:
        Trouble: it is out of reach, or there is one with another key.
    """
    try:
        restic(settings, "cat", "config", "--no-lock", "--quiet")
    except Trouble as trouble:
        if "unable to open config file" not in "\n".join(trouble.detail):
            raise
    else:
        return False
    restic(settings, "init", "--quiet")
    return True


def _paths(settings: Settings) -> Iterator[str]:
    """What is backed up, as far as it is there."""
    found = [Path(path) for path in HOST] + sorted(Path("/etc/ssh").glob(HOST_KEYS))
    for site in sites():
        found += [site.root / "media", site.root / "data", site.root / "deploys.jsonl"]
        found += [Path("/etc") / site.app, Path("/etc/ssl") / site.app]
        if site.release:
            found += [site.root / "current", site.root / "releases" / site.release / "release.json"]
    found += [settings.state / "sqlite", settings.state / "records"]
    yield from (str(path) for path in found if os.path.lexists(path))


def _copy_databases(site: Site, copies: Path) -> Iterator[Path]:
    """Copy each SQLite database of a site as it is at one moment; names what stands for itself no
    longer."""
    data = site.root / "data"
    for path in sorted(data.rglob("*")):
        if not _is_sqlite(path):
            continue
        target = copies / site.app / path.relative_to(data)
        for parent in reversed([target.parent, *target.parent.parents]):
            if parent.is_relative_to(copies) and not parent.exists():
                parent.mkdir(mode=0o711)
        shutil.chown(target.parent, **_owner(site))
        argv = ("/usr/bin/python3", "-I", "-c", COPY, path, target)
        done = run(argv, user=site.app)
        if done.returncode != 0:
            raise Trouble(f"The database {path} cannot be copied: {lines(done)[-1]}", lines(done))
        yield path
        yield from (path.with_name(path.name + end) for end in BESIDE)


def _owner(site: Site) -> dict[str, Any]:
    return {key: who for key, who in identity(site.app).items() if key in ("user", "group")}


def _is_sqlite(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    with os.fdopen(descriptor, "rb") as file:
        try:
            return file.read(len(SQLITE)) == SQLITE
        except OSError:
            return False


def _escaped(path: Path) -> str:
    """A pattern of restic's for this path alone."""
    return "".join(f"\\{letter}" if letter in "*?[\\$" else letter for letter in str(path))


def _summary(told: str) -> dict[str, Any]:
    messages = (json.loads(line) for line in told.splitlines() if line.startswith("{"))
    found = next((each for each in messages if each.get("message_type") == "summary"), None)
    if found is None:
        raise Trouble("restic did not say what it backed up")
    return dict(found)
