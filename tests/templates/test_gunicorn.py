"""Gunicorn's settings: what the template says, its hooks, and a real Gunicorn that runs with it."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.templates.render import render
from tests.templates.role_files import load

gunicorn_workers = load("app/filter_plugins/processes.py").gunicorn_workers


def test_gunicorn_s_settings() -> None:
    tree = ast.parse(render("app", "gunicorn.conf.py.j2"))
    values = {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    assert values["preload_app"] is True
    assert values["workers"] == 2
    assert values["control_socket_disable"] is True
    assert values["errorlog"] == "-"
    # A view that waits leaves the others of its worker alone.
    assert values["worker_class"] == "gthread"
    assert values["threads"] == 4


def test_every_answer_names_its_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELEASE_ID", "20260801T101112-0123456")
    hooks: dict[str, Any] = {}
    exec(render("app", "gunicorn.conf.py.j2"), hooks)

    class Worker:
        @staticmethod
        def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b"hello"]

    worker: Any = Worker()
    hooks["post_worker_init"](worker)
    sent: list[Any] = []
    page = {"PATH_INFO": "/", "HTTP_X_REQUEST_ID": "1"}
    assert worker.wsgi(page, lambda *args: sent.extend(args)) == [b"hello"]
    assert sent[1] == [("Content-Type", "text/plain"), ("X-Release", "20260801T101112-0123456")]

    # The release tool asks over the socket; what came through Nginx is the app's to answer.
    counters = {"PATH_INFO": "/.slipway/counters"}
    (body,) = worker.wsgi(counters, lambda *args: None)
    assert json.loads(body) == {"requests": 1, "failures": 0, "workers": 1}
    asked = {**counters, "HTTP_X_REQUEST_ID": "2"}
    assert worker.wsgi(asked, lambda *args: None) == [b"hello"]


@pytest.mark.parametrize("attribute", ["asgi", "wsgi"])
def test_an_asgi_worker_says_and_counts_the_same(
    monkeypatch: pytest.MonkeyPatch, attribute: str
) -> None:
    """Gunicorn's own worker keeps the application as `asgi`, uvicorn's as `wsgi`."""
    monkeypatch.setenv("RELEASE_ID", "20260801T101112-0123456")
    hooks: dict[str, Any] = {}
    exec(render("app", "gunicorn.conf.py.j2"), hooks)

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 500, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": b"hello"})

    worker: Any = type("UvicornWorker", (), {"__module__": "uvicorn_worker"})()
    setattr(worker, attribute, application)
    hooks["post_worker_init"](worker)

    def ask(kind: str, path: str, *headers: tuple[bytes, bytes]) -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {"type": kind, "path": path, "headers": headers}
        asyncio.run(getattr(worker, attribute)(scope, None, send))
        return sent

    start, body = ask("http", "/", (b"x-request-id", b"1"))
    assert start["headers"] == [(b"a", b"b"), (b"x-release", b"20260801T101112-0123456")]
    assert body["body"] == b"hello"
    assert ask("websocket", "/") == [body]
    assert json.loads(ask("http", "/.slipway/counters")[1]["body"]) == {
        "requests": 1,
        "failures": 1,
        "workers": 1,
    }
    assert ask("http", "/.slipway/counters", (b"x-request-id", b"2"))[1] == body


APPLICATION = """
import gc, os, sys, time

def application(environ, start_response):
    if environ.get("HTTP_USER_AGENT") == "slipway-warm-up":
        asked = environ["HTTP_HOST"], environ["PATH_INFO"], environ["wsgi.url_scheme"]
        open(f"warm-{os.getpid()}", "a").write(repr(asked))
        raise ValueError
    if environ["PATH_INFO"] == "/slow":
        time.sleep(4)
    start_response("200 OK", [("Content-Type", "text/plain")])
    found = (gc.isenabled(), gc.get_threshold()[0], gc.get_freeze_count() > 0)
    told = (sys.getswitchinterval(), *found)
    return [repr(told).encode()]
"""


@pytest.fixture
def gunicorn(tmp_path: Path) -> Iterator[Path]:
    """The socket of Gunicorn as it runs on a droplet, with two workers of one thread each."""
    (tmp_path / "slow_and_quick.py").write_text(APPLICATION)
    (tmp_path / "gunicorn.conf.py").write_text(render("app", "gunicorn.conf.py.j2", app_threads=1))
    path = tmp_path / "web.sock"
    server = subprocess.Popen(
        (sys.executable, "-m", "gunicorn", "slow_and_quick", f"--bind=unix:{path}"),
        cwd=tmp_path,
        env={**os.environ, "RELEASE_ID": "20260801T101112-0123456"},
    )
    try:
        wait_until(partial(listens, path), 30)
        yield path
    finally:
        server.terminate()
        server.wait(30)


def wait_until(true: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def listens(path: Path) -> bool:
    """The file is there a moment before."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def ask_gunicorn(path: Path, page: str) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(f"GET {page} HTTP/1.0\r\n\r\n".encode())
        return b"".join(iter(partial(client.recv, 4096), b""))


def test_nobody_waits_behind_a_slow_view_while_a_worker_is_free(gunicorn: Path) -> None:
    with ThreadPoolExecutor(12) as pool:
        slow = pool.submit(ask_gunicorn, gunicorn, "/slow")
        time.sleep(0.5)
        quick = [pool.submit(ask_gunicorn, gunicorn, "/") for _ in range(10)]
        answers = [one.result() for one in quick]
        assert not slow.done()
    # Threads that compute change places less often than Python would have them, and garbage is
    # looked for less often, and not in what was loaded.
    bodies = {answer.partition(b"\r\n\r\n")[2] for answer in answers}
    assert bodies == {b"(0.02, True, 10000, True)"}


def test_a_worker_asks_itself_before_visitors_do(gunicorn: Path) -> None:
    """Whatever the answer is, it serves."""
    assert b"200 OK" in ask_gunicorn(gunicorn, "/")
    wait_until(lambda: len(list(gunicorn.parent.glob("warm-*"))) == 2, 30)
    asked = {path.read_text() for path in gunicorn.parent.glob("warm-*")}
    assert asked == {repr(("library.example.org", "/", "https"))}


@given(st.integers(1, 64), st.integers(256, 256 * 1024))
def test_workers_fit_the_droplet(cpus: int, memory: int) -> None:
    workers = gunicorn_workers(cpus, memory)
    assert 1 <= workers <= max(2, cpus)
    assert workers == 1 or workers * 64 <= memory / 4
