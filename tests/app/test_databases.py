"""The application's own tests, once on SQLite and once on PostgreSQL.

The PostgreSQL server is thrown away afterwards: a cluster in a temporary folder, reached only over
its unix socket, made from Debian's programs and run as the user postgres (never as root).
"""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

APP = Path(__file__).resolve().parent.parent.parent / "app"


def run_suite(capsys: pytest.CaptureFixture[str], database_url: str) -> None:
    """Run pytest in app/ and show its summary line; on failure all it said."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no"],
        cwd=APP,
        env={**os.environ, "DATABASE_URL": database_url},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.fail(f"{done.stdout}{done.stderr}", pytrace=False)
    with capsys.disabled():
        print(f"  {done.stdout.splitlines()[-1]} ", end="")


def postgres_programs() -> Path | None:
    """The newest folder with initdb and pg_ctl; Debian keeps them out of the PATH."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name)
    )
    if folders:
        return folders[-1]
    found = shutil.which("initdb")
    return Path(found).parent if found else None


@pytest.fixture
def postgres() -> Iterator[str]:
    """The URL of a new, empty server."""
    programs = postgres_programs()
    if not programs:
        pytest.skip("PostgreSQL's programs are not installed; as root on Debian bin/test does it")
    folder = Path(tempfile.mkdtemp(prefix="slipway-pg-"))
    as_server: list[str] = []
    if os.geteuid() == 0:
        as_server = ["runuser", "-u", "postgres", "--"]
        os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)

    def server(program: str, *arguments: str) -> None:
        subprocess.run(
            [*as_server, str(programs / program), "-D", str(folder / "data"), *arguments],
            cwd="/",
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
            stdout=subprocess.DEVNULL,
            check=True,
        )

    try:
        server("initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c full_page_writes=off"
        server("pg_ctl", "start", "-w", "-l", str(folder / "log"), "-o", options)
        try:
            yield f"postgres://postgres@{quote(str(folder), safe='')}/postgres"
        finally:
            server("pg_ctl", "stop", "-m", "immediate")
    finally:
        shutil.rmtree(folder)


def test_on_sqlite(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run_suite(capsys, f"sqlite:///{tmp_path}/tests.sqlite3")


def test_on_postgresql(capsys: pytest.CaptureFixture[str], postgres: str) -> None:
    run_suite(capsys, postgres)
