"""The gate, asked of a real HTTP server on a unix socket."""

import http.server
import socketserver
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.host import health
from deploy.host.context import Context
from deploy.host.errors import BackedOut
from deploy.host.health import MISSING_PAGE, Counters, Unhealthy, count, gate
from deploy.host.release import Release
from deploy.host.site import Site
from deploy.host.units import Units, UnitState
from tests.unit.test_release import a_release

RELEASE = a_release(1)
SITE = Site(
    app="mysite",
    root="/nowhere",
    environment="test",
    domain="mysite.example.org",
    ready_path="/readyz",
    pages=("/",),
    gate_seconds=10.0,
    bake_seconds=0.0,
    bake_error_share=0.05,
    drain_seconds=0.1,
    keep_releases=5,
    keep_warm=False,
    lock_timeout_seconds=5,
    min_free_mb=1,
    processes=(),
    workers=2,
    addons=(),
)
UP = UnitState("active", "running", restarts=0, main_pid=100, result="success")


class Silent:
    """Nobody listens."""

    def event(self, **facts: object) -> None:
        pass


class Unit(Units):
    """One unit, as systemd would describe it: the states in turn, the last one for ever."""

    def __init__(self, *states: UnitState) -> None:
        super().__init__(SITE)
        self._states = list(states) or [UP]

    def state(self, release: str) -> UnitState:
        return self._states.pop(0) if len(self._states) > 1 else self._states[0]


class Asked(http.server.BaseHTTPRequestHandler):
    """One request, answered by the test's function of it."""

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Instance)
        server.asked.append(self.path)
        server.hosts.add((self.headers["Host"], self.headers["X-Forwarded-Proto"]))
        server.answer(self)

    def address_string(self) -> str:
        return "nginx"

    def log_message(self, *args: object) -> None:
        pass

    def say(self, status: int, body: str = "", **headers: str) -> None:
        self.send_response(status)
        self.send_header("X-Release", RELEASE.id)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body.encode())


Answer = Callable[[Asked], None]


class Instance(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, path: Path, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.hosts: set[tuple[str, str]] = set()
        super().__init__(str(path), Asked)


@contextmanager
def instance(room: Path, answer: Answer, *states: UnitState) -> Iterator[tuple[Context, Instance]]:
    site = replace(SITE, root=str(room))
    ctx = Context(site, Unit(*states), Silent(), who="ada", command="deploy")
    path = ctx.layout.socket(RELEASE.id)
    path.parent.mkdir(parents=True)
    with Instance(path, answer) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        try:
            yield ctx, server
        finally:
            # A thread left behind on a closed socket would keep a core busy until pytest ends.
            server.shutdown()
            serving.join()


def site(pages: dict[str, Answer]) -> Answer:
    """A healthy site, but for the pages given."""

    def answer(asked: Asked) -> None:
        if page := pages.get(asked.path):
            page(asked)
        elif asked.path == MISSING_PAGE:
            asked.say(404, "no such page")
        else:
            asked.say(200, "fine")

    return answer


def says(status: int, body: str = "", **headers: str) -> Answer:
    return lambda asked: asked.say(status, body, **headers)


def pass_gate(
    room: Path, pages: dict[str, Answer], *states: UnitState, release: Release = RELEASE
) -> Instance:
    with instance(room, site(pages), *states) as (ctx, server):
        gate(ctx, release, lambda text: None)
        return server


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder whose path is short enough for a unix socket."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "GRACE_SECONDS", 0.05)
    monkeypatch.setattr(health, "RETRY_SECONDS", 0.02)


def test_a_healthy_release_is_asked_as_nginx_would_ask_it(room: Path) -> None:
    server = pass_gate(room, {})
    assert sorted(server.asked) == ["/", "/readyz", MISSING_PAGE]
    assert server.hosts == {("mysite.example.org", "https")}


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        ({"/": says(500)}, "/ answered 500"),
        ({"/": says(404)}, "/ answered 404"),
        ({"/readyz": says(500, "no\n database")}, "/readyz answered 500: no database"),
        ({"/readyz": says(503, "unapplied migrations: a.0002")}, "unapplied migrations"),
        ({"/readyz": says(302, Location="/login")}, "/readyz answered 302"),
        ({"/": says(304)}, "/ answered 304"),
        ({"/": says(302, Location="https://evil.example/")}, "redirects to another site"),
        ({"/": says(302, location="https://evil.example/")}, "redirects to another site"),
        ({"/": says(301, Location="/")}, "more than 5 redirects"),
        ({"/": says(302, Location="/a"), "/a": says(500)}, "answered 500"),
        ({MISSING_PAGE: says(404, "because you have <code>DEBUG = True</code>")}, "DEBUG on"),
    ],
)
def test_what_would_make_a_visitor_unhappy_is_found(
    room: Path, pages: dict[str, Answer], said: str
) -> None:
    with pytest.raises(Unhealthy) as unhealthy:
        pass_gate(room, pages)
    assert said in str(unhealthy.value)


def test_a_page_may_have_any_name(room: Path) -> None:
    with instance(room, site({})) as (ctx, server):
        pages = ("/búsqueda/?q=añil", "/b%C3%BAsqueda/")
        gate(replace(ctx, site=replace(ctx.site, pages=pages)), RELEASE, lambda text: None)
    assert {"/b%C3%BAsqueda/?q=a%C3%B1il", "/b%C3%BAsqueda/"} < {*server.asked}


@pytest.mark.parametrize(
    "location", ["/en/?next=/", "https://mysite.example.org/en/?next=/", "en/?next=/"]
)
def test_a_redirect_inside_the_site_is_followed(room: Path, location: str) -> None:
    server = pass_gate(room, {"/": says(302, Location=location)})
    assert "/en/?next=/" in server.asked
    with pytest.raises(Unhealthy):
        pass_gate(room / "2", {"/": says(302, Location=location), "/en/?next=/": says(500)})


def test_an_answer_of_another_release_is_found(room: Path) -> None:
    other = replace(RELEASE, id=a_release(2).id)
    with instance(room, site({})) as (ctx, _):
        ctx.layout.release(other.id).symlink_to(ctx.layout.release(RELEASE.id))
        with pytest.raises(Unhealthy, match=f"answered by release {RELEASE.id}"):
            gate(ctx, other, lambda text: None)


def test_an_error_while_the_workers_warm_up_is_asked_again(
    room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "GRACE_SECONDS", 5)
    left = [500, 503, 502]

    def warming(asked: Asked) -> None:
        asked.say(left.pop() if left else 200)

    pass_gate(room, {"/readyz": warming})
    assert left == []


def test_readiness_is_waited_for_longer_than_any_other_page(room: Path) -> None:
    ready = time.monotonic() + 0.4

    def slow(asked: Asked) -> None:
        asked.say(200 if time.monotonic() > ready else 503, "the database is starting up")

    pass_gate(room, {"/readyz": slow})
    assert time.monotonic() > ready


def test_what_is_answered_before_it_is_ready_says_nothing(room: Path) -> None:
    answers = {"/readyz": [503, 200], "/": [404, 200]}

    def warming(asked: Asked) -> None:
        left = answers[asked.path]
        asked.say(left.pop(0) if len(left) > 1 else left[0])

    pass_gate(room, dict.fromkeys(answers, warming))
    assert answers == {"/readyz": [200], "/": [200]}


def test_the_page_that_is_not_there_is_asked_again_once_it_is_ready(room: Path) -> None:
    left = [503, 200]
    ready = threading.Event()

    def warming(asked: Asked) -> None:
        if len(left) == 1:
            ready.set()
        asked.say(left.pop(0) if len(left) > 1 else left[0])

    def missing(asked: Asked) -> None:
        shown = ready.is_set()
        asked.say(404 if shown else 503, "<code>DEBUG = True</code>" if shown else "warming up")

    with pytest.raises(Unhealthy, match="DEBUG on"):
        pass_gate(room, {"/readyz": warming, MISSING_PAGE: missing})


def test_what_is_not_there_may_lead_to_another_site(room: Path) -> None:
    pass_gate(room, {MISSING_PAGE: says(302, Location="https://login.example/")})


def test_pages_are_asked_for_while_another_one_is_made(room: Path) -> None:
    all_there = threading.Barrier(3)

    def with_the_others(asked: Asked) -> None:
        all_there.wait(5)
        asked.say(404 if asked.path == MISSING_PAGE else 200)

    pass_gate(room, dict.fromkeys(("/readyz", "/", MISSING_PAGE), with_the_others))


def test_a_page_that_hangs_is_not_waited_for(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "REQUEST_SECONDS", 0.2)
    started = time.monotonic()
    with pytest.raises(Unhealthy, match="/ did not answer within"):
        pass_gate(room, {"/": lambda asked: time.sleep(9)})
    assert time.monotonic() - started < 6


def test_the_gate_as_a_whole_is_bounded(room: Path) -> None:
    started = time.monotonic()
    with (
        instance(room, site({"/readyz": says(503, "starting up")})) as (ctx, _),
        pytest.raises(Unhealthy),
    ):
        gate(replace(ctx, site=replace(ctx.site, gate_seconds=0.3)), RELEASE, lambda text: None)
    assert time.monotonic() - started < 5


def test_static_files_that_a_page_refers_to_have_to_be_there(room: Path) -> None:
    body = (
        "<link href=\"/static/site.1a2b.css\"><script src='/static/a/site.js?v=1'></script>"
        '<a href="/books/">Books</a><img src="https://elsewhere.example/static/logo.svg">'
        '<link href="/static/Times%20New.1a2b.woff2">'
    )
    release = room / "releases" / RELEASE.id / "static" / "a"
    shared = room / "static"
    for folder in (release, shared):
        folder.mkdir(parents=True)
    (shared / "site.1a2b.css").touch()
    (shared / "Times New.1a2b.woff2").touch()
    with pytest.raises(Unhealthy, match="/ refers to /static/a/site.js"):
        pass_gate(room, {"/": says(200, body)})
    (room / "releases" / RELEASE.id / "run/web.sock").unlink()
    (room / "releases" / RELEASE.id / "run").rmdir()
    (release / "site.js").touch()
    pass_gate(room, {"/": says(200, body)})


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (replace(UP, active="failed", sub="failed", result="exit-code"), "did not stay up"),
        (replace(UP, restarts=1), "crashed and was started again"),
        (replace(UP, main_pid=101), "crashed and was started again"),
    ],
)
def test_a_unit_that_crashes_meanwhile_is_found(room: Path, after: UnitState, said: str) -> None:
    with pytest.raises(Unhealthy, match=said):
        pass_gate(room, {}, UP, after)


def test_an_instance_that_breaks_off_is_unhealthy(room: Path) -> None:
    with pytest.raises(Unhealthy, match="/ broke off"):
        pass_gate(room, {"/": lambda asked: asked.connection.close()})


def test_ctrl_c_backs_out(room: Path) -> None:
    with instance(room, site({"/readyz": says(503, "starting")})) as (ctx, _):
        threading.Timer(0.1, ctx.cancel.set).start()
        with pytest.raises(BackedOut):
            gate(ctx, RELEASE, lambda text: None)


def test_what_an_instance_counts_is_read_and_compared(room: Path) -> None:
    counted = '{"requests": 200, "failures": 11, "workers": 3}'
    with instance(room, site({health.COUNTERS_PATH: says(200, counted)})) as (ctx, _):
        found = count(ctx.layout.socket(RELEASE.id), SITE.domain)
    assert found == Counters(200, 11, 3)
    since = found.since(Counters(100, 1, 3))
    assert (since, since.share) == (Counters(100, 10, 0), 0.1)
    assert Counters().share == 0


@pytest.mark.parametrize("body", ["", "fine", "[]", '{"other": 1}'])
def test_a_server_that_counts_nothing_is_none(room: Path, body: str) -> None:
    with instance(room, site({health.COUNTERS_PATH: says(200, body)})) as (ctx, _):
        assert count(ctx.layout.socket(RELEASE.id), SITE.domain) is None
    assert count(room / "no.sock", SITE.domain) is None
