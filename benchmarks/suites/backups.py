"""Ten million rows: backed up, proved and put back."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from benchmarks.clock import must, timed
from benchmarks.ground import Ground
from benchmarks.model import OURS, Benchmark, Contestant, Figures, Measure, Run
from benchmarks.peers.stand import as_root
from tests.lab.site import BIN

APP = "locallibrary"
ROWS = 10_000_000
TABLE = "bench_rows"
DUMP, COPY = "/var/backups/bench.dump", "/var/backups/bench.copy"
JOBS = 2
# Some of each row compresses well and some does not, as in tables of people and orders.
FILL = f"""\
CREATE TABLE {TABLE} (id bigint PRIMARY KEY, at timestamptz NOT NULL, words text NOT NULL);
INSERT INTO {TABLE}
SELECT n, now() - n * interval '1 second', md5(n::text) || ' was lent to a reader of the town'
FROM generate_series(1, {ROWS}) n;
ANALYZE {TABLE};
"""
AS_POSTGRES = "runuser -u postgres --"


class Data:
    """The site's database with all those rows in it; ``bytes`` is its size."""

    def __init__(self, ground: Ground) -> None:
        self.site = ground.site
        ground.note(f"{ROWS:,} rows")
        self.ask(FILL)
        self.bytes = int(self.ask(f"SELECT pg_database_size('{APP}');"))

    def ask(self, statements: str) -> str:
        """What PostgreSQL answers, asked as its administrator."""
        line = f"{AS_POSTGRES} psql -XAtq --set=ON_ERROR_STOP=1 {APP} <<'END'\n{statements}\nEND"
        return as_root(self.site, line).strip()

    def rate(self, seconds: float) -> float:
        """MB of the database in a second."""
        return self.bytes / 1e6 / seconds

    def end(self) -> None:
        self.ask(f"DROP TABLE IF EXISTS {TABLE};")

    def there(self, line: str) -> float:
        """MB of the database in a second of a command on the droplet."""
        begun = time.monotonic()
        as_root(self.site, line)
        return self.rate(time.monotonic() - begun)

    def here(self, *words: str) -> float:
        """MB of the database in a second of a task, as somebody at the controller waits for it."""
        argv = (str(BIN / "invoke"), *words, "--env", self.site.name)
        return self.rate(timed(argv, self.site.clone).seconds)


def ours(data: Data) -> Figures:
    figures = {
        "backup": data.here("backup", "--full"),
        "verify": data.here("backup.verify"),
        "restore": data.here("restore", "--yes"),
    }
    must(data.site.invoke("restore", "--forget", "--yes"))
    return figures


def dumped(data: Data) -> Figures:
    to, tidy = "bench_restored", f"{AS_POSTGRES} dropdb --if-exists --force bench_restored"
    as_root(data.site, f"{tidy}; {AS_POSTGRES} createdb {to}")
    dump = f"{AS_POSTGRES} pg_dump --format=custom {APP} >{DUMP} && sync {DUMP}"
    put_back = f"{AS_POSTGRES} pg_restore --jobs={JOBS} --dbname={to} {DUMP}"
    figures = {"backup": data.there(dump), "restore": data.there(put_back)}
    as_root(data.site, f"{tidy}; rm -f {DUMP}")
    return figures


def copied(data: Data) -> Figures:
    """The files of the database, read and written and forced to the disk."""
    as_root(data.site, f"{AS_POSTGRES} psql -qc CHECKPOINT")
    oid = data.ask(f"SELECT oid FROM pg_database WHERE datname = '{APP}';")
    folder = f"{data.ask('SHOW data_directory;')}/base/{oid}"
    rate = data.there(f"cp -r {folder} {COPY} && sync $(find {COPY} -type f)")
    as_root(data.site, f"rm -r {COPY}")
    return {"backup": rate, "restore": rate}


@contextmanager
def open_(ground: Ground) -> Iterator[Mapping[str, Run | str]]:
    data = Data(ground)
    try:
        yield {
            OURS: partial(ours, data),
            "pg_dump": partial(dumped, data),
            "disk": partial(copied, data),
        }
    finally:
        data.end()


BENCHMARKS = (
    Benchmark(
        name="backup",
        title="Ten million rows backed up, proved and put back",
        about=(
            "MB of the database in a second, for a full backup by `invoke backup`, its proof by "
            "`backup.verify` (restored beside the site, started, every row of every table held "
            "against the record) and `restore` to the newest state, which puts the database in "
            "the place of the one that serves. Ours are whole commands from the controller; they "
            "compress, encrypt, count and checksum every table, and back up uploads and the "
            "host's secrets too. pg_dump compresses as it does by default, and its rows are held "
            "against nothing."
        ),
        contestants=(
            Contestant(OURS, "pgBackRest, encrypted, with a checksum of every table"),
            Contestant("pg_dump", f"pg_dump in its custom format, pg_restore with {JOBS} jobs"),
            Contestant("disk", "a yardstick: the database's files copied, forced to the disk"),
        ),
        measures=(
            Measure("backup", "MB/s", less_is_better=False, digits=0),
            Measure("verify", "MB/s", less_is_better=False, digits=0),
            Measure("restore", "MB/s", less_is_better=False, digits=0),
        ),
        targets=(),
        open=open_,
    ),
)
