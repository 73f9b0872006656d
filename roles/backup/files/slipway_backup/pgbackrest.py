"""pgBackRest, run as PostgreSQL's user; its settings are the role's (/etc/pgbackrest)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from slipway_backup.programs import lines, run, size
from slipway_backup.settings import STANZA
from slipway_backup.trouble import Trouble

POSTGRES = "postgres"
ERROR = re.compile(r"ERROR: (\[\d+\]: .*)")
PLAYBOOK = "ansible-playbook site.yml"
# From the status of a repository that is merely empty upwards (src/command/info/info.c).
UNREADABLE = 3
# The first that is found in what pgBackRest says, and what it means for whoever runs the droplet.
MEANINGS = (
    (
        r"[Nn]o space left on device|\[28\]",
        "the disk is full. Make room, then run it again. Look: df -h",
    ),
    (
        r"unable to load info file[^\n]*\n\s*(CryptoError|FormatError)",
        "the repository cannot be read with the key that this droplet has. Put the key that it was "
        f"written with into site_backup_key, then run: {PLAYBOOK}",
    ),
    (
        r"[Dd]ata corruption|checksum|CryptoError|FormatError|zst error|lz4 error",
        "a file of the repository is damaged. Run: invoke backup --full, and find out what "
        "damaged it",
    ),
    (
        r"missing stanza path|FileMissingError: unable to open missing file \S*\.info|\[055\]",
        f"there is no repository, or a part of it is missing. Run: {PLAYBOOK}",
    ),
    (
        r"\[028\]|do not match the database",
        "the repository holds the backups of another cluster. Make this droplet from them, "
        "invoke rebuild --from-backup, or name another place in site_backup_repository",
    ),
    (
        r"NoSuchBucket",
        "there is no such bucket. Make it, or name another one in site_backup_repository",
    ),
    (
        r"AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch",
        "the bucket does not let this droplet in. Look at backup_s3_key, backup_s3_secret and what "
        "they may do there",
    ),
    (
        r"\[082\]",
        "PostgreSQL's log does not reach the archive. Look: tail /var/log/postgresql/*.log",
    ),
    (
        r"\[(125|101|046|042|049|056)\]|HostConnectError|unable to connect|ServiceError",
        "the repository's host does not answer, or not as it should",
    ),
)


def call(*options: str | Path, meanwhile: Callable[[], None] | None = None) -> str:
    """Run a command of pgBackRest; returns its output. ``meanwhile`` is called now and then.

    Raises:
        Trouble: it failed, with what its error means here.
    """
    argv = ("pgbackrest", f"--stanza={STANZA}", *options)
    done = run(argv, user=POSTGRES, meanwhile=meanwhile)
    if done.returncode != 0:
        raise _trouble(done.stdout + done.stderr, lines(done))
    return done.stdout


def _trouble(text: str, said: list[str]) -> Trouble:
    for pattern, sentence in MEANINGS:
        if re.search(pattern, text):
            return Trouble(sentence[0].upper() + sentence[1:], said)
    found = ERROR.search(text)
    return Trouble(
        f"pgBackRest failed: {found[1] if found else (said or ['it said nothing'])[-1]}", said
    )


def info() -> list[dict[str, Any]]:
    """The backups of the cluster in use, oldest first, as ``pgbackrest info`` tells them.

    Those from before an upgrade of PostgreSQL are left out: the newer one cannot read them.

    Raises:
        Trouble: the repository is out of reach, or cannot be read.
    """
    for stanza in _info():
        for repository in stanza["repo"]:
            status = repository["status"]
            if status["code"] > UNREADABLE:
                raise _trouble(status["message"], status["message"].splitlines())
        newest = stanza["db"][-1]["id"] if stanza["db"] else None
        return [each for each in stanza["backup"] if each["database"]["id"] == newest]
    return []


def owner() -> int | None:
    """The system identifier of the cluster that the repository belongs to."""
    for stanza in _info():
        return stanza["db"][-1]["system-id"] if stanza["db"] else None
    return None


def progress() -> str | None:
    """How far the backup that runs has come, if pgBackRest tells it."""
    for stanza in _info():
        running = stanza["status"]["lock"]["backup"]
        # Not told by the version of Debian 12.
        if running.get("size"):
            return f"{running['size-cplt'] / running['size']:.0%} of {size(running['size'])}"
    return None


def _info() -> list[dict[str, Any]]:
    told = call("info", "--output=json")
    # What it could not decipher stands in its messages as it is.
    found: list[dict[str, Any]] = json.loads(told or "[]", strict=False)
    return found
