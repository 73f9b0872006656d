"""A cluster beside the one that serves: restored from the repository, asked, and taken away."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from slipway_backup import pgbackrest
from slipway_backup.events import Events
from slipway_backup.pgbackrest import POSTGRES
from slipway_backup.programs import clean, identity, run, size
from slipway_backup.settings import Settings
from slipway_backup.trouble import Trouble

POLL_SECONDS = 0.25
STOP_SECONDS = 60.0
LOG_LINES = 8
# PostgreSQL writes blocks of 8 kB, and segments of its log of 16 MB.
FULL_BYTES = 17_000_000
FILLED = "The disk filled up meanwhile. Make room, then run it again. Look: df -h"
# It serves nobody, holds nothing that is not elsewhere, and must not write to the archive.
SERVER = {
    "archive_mode": "off",
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
    "fsync": "off",
    "full_page_writes": "off",
    "hot_standby": "off",
    # It would write programs into memory and run them, which the unit's walls forbid.
    "jit": "off",
    "listen_addresses": "",
    "log_destination": "stderr",
    "log_line_prefix": "",
    "logging_collector": "off",
    "maintenance_work_mem": "64MB",
    "max_connections": "20",
    "max_wal_size": "1GB",
    "shared_buffers": "64MB",
    "ssl": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
# Who may come: the superuser, and each site's user to the database of its name.
ACCESS = "local all postgres peer\nlocal sameuser all peer\n"
UNREACHED = re.compile(
    "recovery ended before configured recovery target was reached|WAL ends before"
)


def home(settings: Settings) -> Path:
    """The folder that is PostgreSQL's user's; what root restores is beside it."""
    return settings.scratch / "postgresql"


def folder(settings: Settings) -> Path:
    """The data directory."""
    return home(settings) / "cluster"


def socket(settings: Settings) -> Path:
    """The folder of its socket."""
    return settings.run / "scratch"


def remove(settings: Settings) -> None:
    """Take away what is there, also what a killed run left."""
    for path in home(settings).iterdir():
        shutil.rmtree(path, ignore_errors=True)


def check_room(settings: Settings, needed: int, what: str) -> None:
    """See to it that so many bytes fit.

    Raises:
        Trouble: they do not; the sentence says how many are missing.
    """
    free = shutil.disk_usage(settings.scratch).free - settings.free_bytes
    if free < needed:
        raise Trouble(
            f"{what} needs {size(needed)} on the disk of {settings.scratch}, and "
            f"{size(max(free, 0))} are to be had beside the reserve. Make room, or name a folder "
            "on another disk in backup_scratch and run: ansible-playbook site.yml"
        )


@contextmanager
def restored(
    settings: Settings, events: Events, options: Sequence[str], preload: str, whole: int
) -> Iterator[Path]:
    """A running cluster, recovered as the options of ``pgbackrest restore`` say.

    Gives the folder of its socket.

    Args:
        preload: the libraries that the cluster which serves preloads.
        whole: bytes of the cluster in the backup.

    Raises:
        Trouble: a file is missing or damaged, the disk is full, or it does not start.
    """
    remove(settings)
    try:
        events.note(f"restoring the files of the cluster, {size(whole)}")
        pgbackrest.call(
            f"--pg1-path={folder(settings)}",
            f"--tablespace-map-all={home(settings) / 'tablespaces'}",
            "--archive-mode=off",
            *options,
            "restore",
            meanwhile=lambda: events.note(f"restored {size(_bytes(folder(settings)))}"),
        )
        with _running(settings, events, preload):
            yield socket(settings)
    except Trouble as trouble:
        # Whoever met the end of the disk may have called it something else.
        if shutil.disk_usage(settings.scratch).free < FULL_BYTES:
            raise Trouble(FILLED, trouble.detail) from None
        raise
    finally:
        remove(settings)


@contextmanager
def _running(settings: Settings, events: Events, preload: str) -> Iterator[None]:
    data = folder(settings)
    server = {
        **SERVER,
        "unix_socket_directories": str(socket(settings)),
        "hba_file": str(_write(data / "scratch_hba.conf", ACCESS)),
        "ident_file": str(_write(data / "scratch_ident.conf", "")),
        "config_file": str(_write(data / "postgresql.conf", "")),
        "shared_preload_libraries": preload,
    }
    told = [f"--{name.replace('_', '-')}={value}" for name, value in server.items()]
    log = _write(data / "scratch.log", "")
    with log.open("ab") as said:
        process = subprocess.Popen(
            [settings.programs / "postgres", "-D", data, *told],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            cwd="/",
            env=clean(),
            **identity(POSTGRES),
        )
    try:
        _wait(settings, events, process, log)
        yield
    finally:
        # Fast shutdown. What it holds is removed, so that nothing is lost by the harder way.
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait()


def _wait(settings: Settings, events: Events, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until it has recovered and takes queries."""
    ask = ("psql", "-XAtqc", "SELECT pg_is_in_recovery()", "-h", socket(settings), "postgres")
    events.note("recovering: PostgreSQL replays the archived log")
    while True:
        if process.poll() is not None:
            raise _failure(log.read_text(errors="replace"))
        if run(ask, user=POSTGRES).stdout.strip() == "f":
            return
        replayed = len(re.findall("restored log file", log.read_text(errors="replace")))
        events.now_and_then(f"recovering: {replayed} segments of the log are replayed")
        time.sleep(POLL_SECONDS)


def _failure(said: str) -> Trouble:
    detail = said.strip().splitlines()[-LOG_LINES:]
    if UNREACHED.search(said):
        return Trouble(
            "The archived log ends before the moment asked for: a segment of it is missing or "
            "damaged. Run: invoke backup --full, and go back to an earlier moment: "
            "invoke restore --to TIME",
            detail,
        )
    return Trouble(
        f"The restored cluster does not start: {(detail or ['no word of why'])[-1]}", detail
    )


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    shutil.chown(path, POSTGRES, POSTGRES)
    path.chmod(0o600)
    return path


def _bytes(path: Path) -> int:
    """What the files below a folder hold. They come and go meanwhile."""
    found = 0
    for parent, _, names in os.walk(path):
        for name in names:
            with suppress(FileNotFoundError):
                found += os.lstat(Path(parent) / name).st_size
    return found
