"""Questions to a running site, asked the way Nginx would ask them."""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote, unquote, urljoin, urlsplit

from deploy.host.context import Context
from deploy.host.release import Release
from deploy.host.units import UnitState

REQUEST_SECONDS = 10.0
# An answer of 5xx right after the start may be a worker still warming up; one that lasts is not.
GRACE_SECONDS = 3.0
RETRY_SECONDS = 0.25
BODY_LIMIT = 1 << 20
# What the gate asks for at the same time.
AT_ONCE = 3
REDIRECTS = 5
RELEASE_HEADER = "x-release"
COUNTERS_PATH = "/.slipway/counters"
MISSING_PAGE = "/slipway-gate-asks-for-a-page-that-is-not-there"
DEBUG_PAGE = b"DEBUG = True"
SAFE_IN_PATH = "/?&=%:;,+@~!$'()*#[]-._"
ASSET = re.compile(rb"""(?:href|src)=["']([^"'#?]+)""")


class Unhealthy(Exception):
    """One sentence on what is wrong with a release."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; the names of its headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class _Unix(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _Local(http.client.HTTPSConnection):
    """HTTPS to this droplet's own Nginx, whatever address the domain has elsewhere.

    The certificate is not judged here: a site still on its self-signed certificate must be
    deployable. `invoke status` tells about the certificate.
    """

    def __init__(self, domain: str, timeout: float, source: str) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        super().__init__(domain, timeout=timeout, context=context)
        self._ssl_context = context
        self._source = (source, 0) if source else None

    def connect(self) -> None:
        plain = socket.create_connection(("127.0.0.1", 443), self.timeout, self._source)
        self.sock = self._ssl_context.wrap_socket(plain, server_hostname=self.host)


def ask_instance(socket_path: Path, domain: str, path: str, timeout: float) -> Answer:
    """GET over an instance's own socket. Raises OSError or http.client.HTTPException."""
    return _ask(_Unix(socket_path, timeout), domain, path)


def ask_public(domain: str, path: str, timeout: float, source: str = "") -> Answer:
    """GET through Nginx, as a visitor, from the address ``source`` if one is given.

    Raises OSError or http.client.HTTPException.
    """
    return _ask(_Local(domain, timeout, source), domain, path)


def _ask(connection: http.client.HTTPConnection, domain: str, path: str) -> Answer:
    headers = {
        "Host": domain,
        "X-Forwarded-Proto": "https",
        "X-Forwarded-For": "127.0.0.1",
        "User-Agent": "slipway-gate",
        "Connection": "close",
    }
    try:
        connection.request("GET", quote(path, safe=SAFE_IN_PATH), headers=headers)
        response = connection.getresponse()
        received = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, received, response.read(BODY_LIMIT))
    finally:
        connection.close()


@dataclass(frozen=True)
class Counters:
    """What an instance has answered since it started: requests, 5xx among them, workers begun."""

    requests: int = 0
    failures: int = 0
    workers: int = 0

    def since(self, before: Counters) -> Counters:
        return Counters(
            self.requests - before.requests,
            self.failures - before.failures,
            self.workers - before.workers,
        )

    @property
    def share(self) -> float:
        """Share of 5xx answers, 0 to 1."""
        return self.failures / self.requests if self.requests else 0.0


def count(socket_path: Path, domain: str) -> Counters | None:
    """An instance's counters; None when its server keeps none (roles/app: gunicorn.conf.py)."""
    try:
        answer = ask_instance(socket_path, domain, COUNTERS_PATH, REQUEST_SECONDS)
        return Counters(**json.loads(answer.body)) if answer.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError, TypeError):
        return None


def gate(ctx: Context, release: Release, note: Callable[[str], None]) -> None:
    """Ask the new instance everything that would make a visitor unhappy. Changes nothing.

    Raises:
        Unhealthy: with the reason.
        BackedOut: interrupted.
    """
    site = ctx.site
    deadline = time.monotonic() + site.gate_seconds
    socket_path = ctx.layout.socket(release.id)

    def ask(path: str) -> Answer:
        ctx.check()
        left = deadline - time.monotonic()
        if left <= 0:
            raise Unhealthy(f"the gate was not passed within {site.gate_seconds:.0f} s")
        try:
            return ask_instance(socket_path, site.domain, path, min(left, REQUEST_SECONDS))
        except TimeoutError:
            raise Unhealthy(f"{path} did not answer within {REQUEST_SECONDS:.0f} s") from None
        except (OSError, http.client.HTTPException) as error:
            _check_unit(ctx, release.id, before.result())
            raise Unhealthy(f"{path} broke off: {error!r}") from None

    questions = {page: partial(_follow, ask, site.domain, page) for page in site.pages}
    questions[MISSING_PAGE] = partial(ask, MISSING_PAGE)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        before = pool.submit(ctx.units.state, release.id)
        asked = [pool.submit(question) for question in questions.values()]
        try:
            if site.ready_path:
                note(site.ready_path)
                answer = ask(site.ready_path)
                if not _ready(answer):
                    answer = _settled(ctx, lambda: ask(site.ready_path), waiting_is_fine=True)
                    # What it answered before it was ready says nothing.
                    asked = [pool.submit(question) for question in questions.values()]
                if not _ready(answer):
                    raise Unhealthy(f"{site.ready_path} answered {answer.status}: {_gist(answer)}")
            for page, answered in zip(questions, asked, strict=True):
                if page != MISSING_PAGE:
                    note(page)
                answer = answered.result()
                if answer.status >= 500:
                    answer = _settled(ctx, questions[page])
                if page != MISSING_PAGE:
                    _check_page(ctx, release, page, answer)
                elif DEBUG_PAGE in answer.body:
                    raise Unhealthy("it runs with DEBUG on, which shows its insides to visitors")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    _check_unit(ctx, release.id, before.result())


def _ready(answer: Answer) -> bool:
    return 200 <= answer.status < 300


def _settled(ctx: Context, ask: Callable[[], Answer], waiting_is_fine: bool = False) -> Answer:
    """The answer, asked again for a moment while it is a 5xx (a 503 of readiness: to the end)."""
    patience = time.monotonic() + GRACE_SECONDS
    while True:
        answer = ask()
        waiting = waiting_is_fine and answer.status == 503 and b"migrations" not in answer.body
        if answer.status < 500 or (time.monotonic() > patience and not waiting):
            return answer
        ctx.pause(RETRY_SECONDS)


def _follow(ask: Callable[[str], Answer], domain: str, page: str) -> Answer:
    for _ in range(REDIRECTS):
        answer = ask(page)
        location = answer.headers.get("location")
        if not 300 <= answer.status < 400 or location is None:
            return answer
        target = urlsplit(urljoin(f"https://{domain}{page}", location))
        if target.hostname != domain:
            raise Unhealthy(f"{page} redirects to another site: {location}")
        page = target.path + (f"?{target.query}" if target.query else "")
    raise Unhealthy(f"{page} is reached through more than {REDIRECTS} redirects")


def _check_page(ctx: Context, release: Release, page: str, answer: Answer) -> None:
    if answer.status >= 300:
        raise Unhealthy(f"{page} answered {answer.status}")
    served_by = answer.headers.get(RELEASE_HEADER, release.id)
    if served_by != release.id:
        raise Unhealthy(f"{page} was answered by release {served_by}")
    _check_assets(ctx, release, page, answer.body)


def _check_assets(ctx: Context, release: Release, page: str, body: bytes) -> None:
    """Each static file that the page refers to must be there for Nginx to serve."""
    prefix = urlsplit(release.static_url).path
    if not prefix.strip("/"):
        return
    folders = (ctx.layout.static, ctx.layout.release(release.id) / "static")
    for match in ASSET.finditer(body):
        url = urlsplit(match[1].decode(errors="replace"))
        path = unquote(url.path)
        if not path.startswith(prefix) or url.hostname not in (None, ctx.site.domain):
            continue
        name = path.removeprefix(prefix)
        if not any((folder / name).is_file() for folder in folders):
            raise Unhealthy(f"{page} refers to {path}, and there is no such static file")


def _check_unit(ctx: Context, release: str, before: UnitState) -> None:
    state = ctx.units.state(release)
    if not state.running:
        raise Unhealthy(f"its unit did not stay up ({state.active}/{state.sub}, {state.result})")
    if state.restarts > before.restarts or state.main_pid != before.main_pid:
        raise Unhealthy("its unit crashed and was started again while it was being checked")


def _gist(answer: Answer) -> str:
    return " ".join(answer.body.decode(errors="replace").split())[:200]
