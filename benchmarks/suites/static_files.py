"""Static files: our Nginx, one tuned by hand, Caddy and WhiteNoise, on the same files."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from benchmarks.clock import must
from benchmarks.ground import Ground
from benchmarks.model import OURS, Benchmark, Contestant, Figures, Measure, Medians, Run, Target
from benchmarks.peers.stand import as_root
from benchmarks.serving import HOME, PACKAGES, Workshop, socket, workshop

SECONDS = 3.0
# Our Nginx ends a connection after 1,000 requests, and h2load makes no new one over HTTP/2.
MANY, FEW = 400, 16
# Over HTTP/2 a browser asks for many files at once.
STREAMS = 8
LARGE = "catalog/static/catalog/large.bin"
LARGE_BYTES = 1_000_000
NGINX, CADDY, WHITENOISE = "nginx by hand", "caddy", "whitenoise"


@dataclass(frozen=True)
class Server:
    """Who listens on ``port``, and the units that count."""

    port: int
    units: tuple[str, ...]


def large(ground: Ground) -> Workshop:
    """A large file that does not compress, deployed, and all files where others find them."""
    shop = ground.once(workshop)
    site = shop.site
    path = site.clone / "app" / LARGE
    path.write_bytes(random.Random(LARGE_BYTES).randbytes(LARGE_BYTES))
    site.commit({}, "Add a large file")
    must(site.invoke("deploy"))
    certificates = f"/etc/ssl/{shop.app}/live"
    as_root(
        site,
        f"cp -aL /srv/{shop.app}/static {HOME}/ && chmod -R a+rX {HOME}\n"
        f"sed -i 's#CERTIFICATES#{certificates}#g' {HOME}/nginx.conf {HOME}/Caddyfile\n"
        # Debian's package, without its service.
        f"cd {HOME} && apt-get -q update && apt-get -q download caddy && dpkg -x caddy_*.deb caddy",
    )
    return shop


@contextmanager
def servers(ground: Ground) -> Iterator[tuple[Workshop, Mapping[str, Server]]]:
    shop = ground.once(large)
    with ExitStack() as stack:

        def start(name: str, user: str, *argv: str) -> str:
            return stack.enter_context(shop.serving(name, argv, user))

        nginx = start("nginx", "root", "/usr/sbin/nginx", "-c", f"{HOME}/nginx.conf")
        state = "XDG_DATA_HOME=/run/bench-caddy"
        caddy = start(
            *("caddy", "root", state, f"{HOME}/caddy/usr/bin/caddy", "run"),
            *("--config", f"{HOME}/Caddyfile", "--adapter", "caddyfile"),
        )
        gunicorn = start(
            *("whitenoise", "", f"PYTHONPATH={PACKAGES}:{HOME}", "DJANGO_ALLOWED_HOSTS=*"),
            *("DJANGO_SETTINGS_MODULE=with_whitenoise", "gunicorn", "locallibrary.wsgi"),
            *("--preload", "--workers=2", "--backlog=4096", f"--bind=unix:{socket('whitenoise')}"),
        )
        yield (
            shop,
            {
                OURS: Server(443, ("nginx.service",)),
                NGINX: Server(8443, (nginx,)),
                CADDY: Server(8445, (caddy,)),
                WHITENOISE: Server(8444, (nginx, gunicorn)),
            },
        )


def run(shop: Workshop, server: Server, path: str, clients: int) -> Figures:
    """Requests a second over HTTP/1.1 and 2, and what a request costs over all three."""
    host = shop.site.domain
    url = f"https://{host}:{server.port}/static/{path}"
    shop.wait_for(url, server.port)
    figures: dict[str, float] = {}
    for name, options in (
        ("h1", ("--h1",)),
        ("h2", (f"--max-concurrent-streams={STREAMS}",)),
    ):
        argv = shop.page_load([url], server.port, clients, SECONDS, *options)
        found = shop.load(server.units, argv, SECONDS, split=True)
        figures |= {name: found.rate, f"{name}_cpu": 1000 * found.cost()}
    words = ("127.0.0.1", str(server.port), host, f"/static/{path}", "4", str(SECONDS))
    argv = ("python3", f"{HOME}/http3.py", *words)
    return figures | {
        "h3_cpu": 1000 * shop.load(server.units, argv, SECONDS, split=True).cost(),
    }


@contextmanager
def contestants(find: str, clients: int, ground: Ground) -> Iterator[Mapping[str, Run | str]]:
    with servers(ground) as (shop, there):
        folder = f"/srv/{shop.app}/static"
        (path,) = shop.site.ask(f"cd {folder} && ls {find}").split()
        yield {name: partial(run, shop, server, path, clients) for name, server in there.items()}


def against(measure: str, less_is_better: bool) -> Callable[[Medians], float]:
    """How fast ours is as a share of the tuned one's."""

    def value(medians: Medians) -> float:
        ours, theirs = medians[OURS][measure], medians[NGINX][measure]
        return theirs / ours if less_is_better else ours / theirs

    return value


def benchmark(name: str, title: str, what: str, find: str, clients: int) -> Benchmark:
    def open_(ground: Ground) -> AbstractContextManager[Mapping[str, Run | str]]:
        return contestants(find, clients, ground)

    return Benchmark(
        name=name,
        title=title,
        about=(
            f"{what} From {clients} clients at once, for {SECONDS:g} s each, over TLS with the "
            "same certificate, from the droplet itself. Servers have the first processor to "
            f"themselves, the load the second. HTTP/2 with {STREAMS} requests at once in each "
            "connection; HTTP/3 with a client in Python, which is slower than any of the servers: "
            "there only the processor time of a request tells them apart. The Nginx tuned by hand "
            "sends the same headers. WhiteNoise is in Gunicorn with two workers, behind that "
            "Nginx, which does its TLS."
        ),
        contestants=(
            Contestant(OURS, "Nginx as the role sets it up"),
            Contestant(NGINX, "open files remembered, no log, nothing else to serve"),
            Contestant(CADDY, "Debian's, files precompressed"),
            Contestant(WHITENOISE, "Gunicorn behind Nginx"),
        ),
        measures=(
            Measure("h2", "requests a second over HTTP/2", less_is_better=False, digits=0),
            Measure("h1", "requests a second over HTTP/1.1", less_is_better=False, digits=0),
            Measure("h2_cpu", "µs a request over HTTP/2", digits=0),
            Measure("h1_cpu", "µs over HTTP/1.1", digits=0),
            Measure("h3_cpu", "µs over HTTP/3", digits=0),
        ),
        targets=tuple(
            Target(
                f"{protocol}: at least 0.95 of the tuned Nginx, by {said}",
                against(measure, less_is_better),
                at_least=0.95,
            )
            for protocol, measure, said, less_is_better in (
                ("HTTP/1.1", "h1", "requests a second", False),
                ("HTTP/2", "h2", "requests a second", False),
                ("HTTP/3", "h3_cpu", "processor time", True),
            )
        ),
        open=open_,
    )


BENCHMARKS = (
    benchmark(
        "static-small",
        "A small static file",
        "The site's stylesheet, 4 kB as gzip made it when it was built.",
        "catalog/style.*.css",
        MANY,
    ),
    benchmark(
        "static-large",
        "A large static file",
        "A file of 1 MB that does not compress.",
        "catalog/large.*.bin",
        FEW,
    ),
)
