"""The sample site with few books and with many."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median as middle

from benchmarks.ground import Ground
from benchmarks.model import OURS, Benchmark, Contestant, Figures, Measure, Medians, Run, Target
from benchmarks.peers.stand import as_root, copy
from benchmarks.serving import HOME, Workshop, workshop

LIBRARY = Path(__file__).with_name("library.sql")
SIZES = (1, 10_000, 1_000_000)
ASKED = 30
# Measure -> what it is, and where.
PAGES: Mapping[str, tuple[str, str]] = {
    "books": ("list of books", "/books/"),
    "last": ("its last page", "/books/?page=last"),
    "genre": ("books of a genre", "/books/?genre=1"),
    "authors": ("list of authors", "/authors/"),
    "loans": ("list of loans", "/loans/"),
    "search": ("search for a rare word", "/books/?q=amber+1"),
    "home": ("home page", "/"),
    "book": ("a book", "/books/1/"),
}
LISTS = ("books", "last", "genre", "authors", "loans")


def name_of(size: int) -> str:
    """The contestant: ours is the largest library."""
    return OURS if size == SIZES[-1] else f"{size:,} books" if size > 1 else "1 book"


def fill(shop: Workshop, size: int) -> str:
    """A database with so many books, made by the site's own migrations; its URL."""
    name = f"bench_{size}"
    url = f"postgres://postgres@/{name}?host=/run/postgresql"
    as_postgres = "runuser -u postgres --"
    as_root(
        shop.site,
        f"{as_postgres} dropdb --if-exists --force {name}; {as_postgres} createdb {name}",
    )
    manage(shop, url, "migrate --verbosity=0")
    as_root(
        shop.site,
        f"{as_postgres} psql -q -v ON_ERROR_STOP=1 -v books={size} {name} <{HOME}/{LIBRARY.name}",
    )
    return url


def manage(shop: Workshop, url: str, command: str, **variables: str) -> str:
    """What a manage.py command says in one of these databases."""
    given = (f"{name}={value}" for name, value in {"DATABASE_URL": url, **variables}.items())
    return shop.run("manage", (*given, "sh", "-c", f"exec python3 manage.py {command}"), "postgres")


def run(shop: Workshop, url: str) -> Figures:
    pages = json.dumps({name: path for name, (_, path) in PAGES.items()})
    said = manage(shop, url, f"shell <{HOME}/pages.py", ASKED=str(ASKED), PAGES=pages)
    found = json.loads(said.splitlines()[-1])
    figures = {name: middle(times) for name, (times, _, _) in found.items()}
    slowest = max(anew for name, (_, anew, _) in found.items() if name in LISTS)
    queries = max(queries for _, _, queries in found.values())
    return figures | {"anew": slowest, "queries": queries}


@contextmanager
def contestants(ground: Ground) -> Iterator[Mapping[str, Run | str]]:
    shop = ground.once(workshop)
    copy(shop.site, [LIBRARY], f"{HOME}/")
    with ExitStack() as stack:
        runs: dict[str, Run] = {}
        for size in SIZES:
            ground.note(f"a library of {size:,} books")
            stack.callback(
                shop.site.ssh, f"runuser -u postgres -- dropdb --if-exists --force bench_{size}"
            )
            runs[name_of(size)] = partial(run, shop, fill(shop, size))
        yield runs


def times(measure: str) -> Callable[[Medians], float]:
    """How much more the largest library needs than the middle one."""
    return lambda medians: (
        medians[name_of(SIZES[-1])][measure] / medians[name_of(SIZES[1])][measure]
    )


def slowest(medians: Medians) -> float:
    return max(times(measure)(medians) for measure in LISTS)


def more_queries(medians: Medians) -> float:
    """Of the page with the most, than with a single book."""
    return medians[name_of(SIZES[-1])]["queries"] - medians[name_of(SIZES[0])]["queries"]


BENCHMARKS = (
    Benchmark(
        name="catalogue",
        title="LocalLibrary with a million books",
        about=(
            "A page as the app makes it for a librarian, from the request to the last byte, with "
            f"its queries to PostgreSQL: the median of {ASKED} answers in one process. Twice as "
            "many copies as books, a fifth as many authors, a copy in ten on loan. Numbers above "
            "a thousand are counted at most once a minute; how long the slowest list takes "
            "which has to do that is a column of its own."
        ),
        contestants=(
            Contestant(OURS, f"{SIZES[-1]:,} books"),
            *(Contestant(name_of(size), "the same site") for size in SIZES[:-1]),
        ),
        measures=(
            *(Measure(name, f"ms, {title}", digits=1) for name, (title, _) in PAGES.items()),
            Measure("anew", "ms, a list counted anew", digits=0),
            Measure("queries", "queries of a page at most", digits=0),
        ),
        targets=(
            Target(
                "Each list at most 2 times slower with a million books than with ten thousand",
                slowest,
                at_most=2.0,
                unit="times",
            ),
            Target(
                "A rare word is found at most 2 times slower",
                times("search"),
                at_most=2.0,
                unit="times",
            ),
            Target("No page has more queries", more_queries, at_most=0, digits=0),
        ),
        open=contestants,
    ),
)
