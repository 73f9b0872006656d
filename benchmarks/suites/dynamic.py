"""Pages of the sample site: ours as visitors get them, and the same code under other servers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.clock import must
from benchmarks.ground import Ground
from benchmarks.model import OURS, Benchmark, Contestant, Figures, Measure, Run, Target, ratio
from benchmarks.peers.stand import as_root, copy
from benchmarks.serving import HOME, PACKAGES, Workshop, socket, workshop

SECONDS = 3.0
WARM_SECONDS = 1.0
CLIENTS = 16
PAGES = ("/", "/books/", "/books/1/")
NGINX = "nginx.service"
CONFIGURATIONS = "/etc/nginx/conf.d"

GUNICORN = ("gunicorn", "locallibrary.wsgi", "--preload", "--worker-tmp-dir=/dev/shm")
# Where a thread is one request's, kept connections would only pile up.
UNKEPT = "DJANGO_SETTINGS_MODULE=unkept"
ASGI = (UNKEPT, "gunicorn", "locallibrary_asgi", "--preload", "--worker-tmp-dir=/dev/shm")
GRANIAN = ("python3", "-m", "granian", "--interface=wsgi", "locallibrary.wsgi:application")
# What each is, and its argv, but for the socket.
SERVERS: Mapping[str, tuple[str, Sequence[str]]] = {
    "sync-1": ("Gunicorn, 1 sync worker", (*GUNICORN, "--workers=1")),
    "sync-2": ("Gunicorn, 2 sync workers", (*GUNICORN, "--workers=2")),
    "sync-4": ("Gunicorn, 4 sync workers", (*GUNICORN, "--workers=4")),
    "gthread-2x4": ("Gunicorn, 2 workers of 4 threads", (*GUNICORN, "--workers=2", "--threads=4")),
    "gevent-2": (
        "Gunicorn, 2 gevent workers with psycogreen",
        # Its patches come too late for what is preloaded.
        (UNKEPT, *GUNICORN[:2], "--workers=2", f"--config={HOME}/gevent_psycopg2.py"),
    ),
    "asgi-2": ("Gunicorn, 2 asgi workers", (*ASGI, "--workers=2", "--worker-class=asgi")),
    "uvicorn-2": (
        "Gunicorn, 2 workers of uvicorn's",
        (*ASGI, "--workers=2", "--worker-class=uvicorn_worker.UvicornWorker"),
    ),
    "granian-2": ("granian, 2 WSGI workers", (*GRANIAN, "--workers=2")),
    "tuned": (
        "Gunicorn by hand: 2 sync workers, garbage collected rarely, no assertions",
        ("PYTHONOPTIMIZE=1", *GUNICORN, "--workers=2", f"--config={HOME}/tuned.py"),
    ),
}
BY_GUNICORN = [name for name in SERVERS if not name.startswith("granian")]


def bind(name: str, argv: Sequence[str]) -> tuple[str, ...]:
    """argv of a server that listens where Nginx looks for it, with the packages beside ours."""
    option = ("--uds", socket(name)) if "granian" in argv else (f"--bind=unix:{socket(name)}",)
    return (f"PYTHONPATH={PACKAGES}:{HOME}", "DJANGO_ALLOWED_HOSTS=*", *argv, *option)


def behind(configuration: str, app: str, name: str, domain: str) -> str:
    """Our own configuration of Nginx for another upstream, and another domain's site."""
    own = f"bench_{name.replace('-', '_')}"
    text = configuration.replace(f"http://{app};", f"http://{own};")
    text = re.sub(rf"(?<![/\w]){app}(?=[-_ ])", own, text)
    text = re.sub(r"unix:\S+/web\.sock", f"unix:{socket(name)}", text)
    return re.sub(r"server_name .*;", f"server_name {domain};", text)


@contextmanager
def contestants(ground: Ground) -> Iterator[Mapping[str, Run | str]]:
    shop = ground.once(workshop)
    site = shop.site
    must(site.invoke("manage", words=("load_catalog",)))
    ours = site.ask(f"cat {CONFIGURATIONS}/{shop.app}.conf")
    theirs = [behind(ours, shop.app, name, f"{name}.{site.domain}") for name in SERVERS]
    (file := ground.folder / "bench-dynamic.conf").write_text("\n".join(theirs))
    copy(site, [file], CONFIGURATIONS)
    as_root(site, "nginx -qt && systemctl reload nginx")
    try:
        yield {OURS: partial(our_run, shop), **{name: partial(run, shop, name) for name in SERVERS}}
    finally:
        as_root(
            site,
            f"rm -f {CONFIGURATIONS}/{file.name}; systemctl reload nginx\n"
            f"runuser -u postgres -- psql -qc 'DELETE FROM django_session' {shop.app}",
        )


def our_run(shop: Workshop) -> Figures:
    return ask(shop, f"{shop.app}-web@{Path(shop.release).name}.service", shop.site.domain)


def run(shop: Workshop, name: str) -> Figures:
    with shop.serving(name, bind(name, SERVERS[name][1])) as unit:
        return ask(shop, unit, f"{name}.{shop.site.domain}")


def ask(shop: Workshop, unit: str, domain: str) -> Figures:
    urls = [f"https://{domain}{page}" for page in PAGES]
    for url in urls:
        shop.wait_for(url, 443)
    units = (unit, NGINX, shop.postgresql)
    shop.load(units, shop.page_load(urls, 443, CLIENTS, WARM_SECONDS), WARM_SECONDS)
    found = shop.load(units, shop.page_load(urls, 443, CLIENTS, SECONDS), SECONDS)
    return {"cpu": found.cost(unit), "all": found.cost(), "rate": found.rate}


BENCHMARKS = (
    Benchmark(
        name="dynamic",
        title="Pages of LocalLibrary at saturation",
        about=(
            "The home page, a list and a book, to visitors without a session, over HTTPS from "
            f"{CLIENTS} clients at once for {SECONDS:g} s, as fast as they come. Every contestant "
            "runs the same release on the same Python with the same database, behind the same "
            "Nginx with our configuration of it; ours in its sandbox and counting its answers, the "
            "others without. gevent and both of ASGI connect to the database for each request, as "
            "their threads demand. Processor time is that of the server's own processes; the third "
            "column adds Nginx and PostgreSQL."
        ),
        contestants=(
            Contestant(OURS, "as the roles set it up"),
            *(Contestant(name, title) for name, (title, _) in SERVERS.items()),
        ),
        measures=(
            Measure("cpu", "ms of processor time a request"),
            Measure("rate", "requests a second", less_is_better=False, digits=0),
            Measure("all", "ms with Nginx and PostgreSQL"),
        ),
        targets=(
            Target(
                "At most 1.1 times the processor time of the best set-up of Gunicorn",
                lambda medians: 1 / ratio(OURS, BY_GUNICORN, "cpu")(medians),
                at_most=1.1,
                unit="times",
            ),
            Target(
                "At least 0.9 times the requests a second of the best set-up of Gunicorn",
                lambda medians: 1 / ratio(OURS, BY_GUNICORN, "rate", less_is_better=False)(medians),
                at_least=0.9,
                unit="times",
            ),
        ),
        open=contestants,
    ),
)
