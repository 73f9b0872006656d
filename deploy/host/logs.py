"""The site's logs: the journal of a release's processes, and Nginx's lines about the site.

The root-owned helper hands out both; what is asked for is picked here, as the deploy user.
"""

from __future__ import annotations

import json
import queue
import re
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from deploy.host import moments, reading
from deploy.host.context import Context
from deploy.host.errors import Refused
from deploy.host.layout import RELEASE_ID
from deploy.host.release import current_id, read

LINES = 100
MOST_LINES = 99999
# How often it is looked whether another release is live, or nobody reads any more.
LOOK_SECONDS = 0.25
REQUEST_ID = re.compile(r"[0-9a-f]{32}")
# Address, time, request, status, bytes, seconds, request id, server name, release.
NGINX = re.compile(
    r'[^"\[]*\[(?P<at>[^]]*)\] "[^"]*" \d+ \d+ [0-9.]+s (?P<request>[0-9a-f]+) \S+ (?P<release>\S+)'
)
NGINX_SOURCE = "nginx"


@dataclass(frozen=True)
class Line:
    """One line; ``source`` is a process type, or "nginx". ``at`` is in UTC.

    ``key`` tells it from every other line of its source; ``release`` is "" when it names none.
    """

    at: datetime
    source: str
    text: str
    key: str
    release: str = ""

    def to_json(self) -> dict[str, str]:
        at = self.at.isoformat(timespec="milliseconds")
        return {"at": at, "source": self.source, "release": self.release, "text": self.text}


@dataclass(frozen=True)
class Question:
    """What somebody wants to read. ``lines`` is how many at most, 0 for all; ``since`` may be None.

    ``release`` is "" for the live one, and ``process`` a type of the Procfile.
    """

    process: str
    nginx: bool
    release: str
    since: datetime | None
    lines: int
    grep: str
    request: str
    follow: bool


def question(asked: Mapping[str, Any], processes: Iterable[str], now: datetime) -> Question:
    """What was typed, checked.

    Raises:
        Refused: a value that means nothing.
    """
    known = ("web", *processes)
    process = asked["process"] or "web"
    if process not in known:
        raise Refused(f"No process {process} runs here, only: {', '.join(known)}")
    lines = str(asked["lines"])
    if lines and not (lines.isdecimal() and 0 < int(lines) <= MOST_LINES):
        raise Refused(f"{lines!r} is no number of lines; 1 to {MOST_LINES} can be had")
    request = asked["request"]
    if request and not REQUEST_ID.fullmatch(request):
        raise Refused(
            f"{request!r} is no id of a request: Nginx gives each one of 32 hexadecimal digits. "
            "See them: invoke logs --nginx"
        )
    if request and (asked["follow"] or asked["nginx"] or asked["process"]):
        raise Refused("A request is over: --request goes with none of --follow, --nginx, --process")
    if asked["nginx"] and asked["process"]:
        raise Refused("Nginx is no process of the Procfile: choose --nginx or --process")
    since = moments.parse(asked["since"], now) if asked["since"] else None
    return Question(
        process=process,
        nginx=asked["nginx"],
        release=asked["release"],
        since=since,
        # Whoever names a time or a request wants all of it.
        lines=int(lines) if lines else 0 if since or request else LINES,
        grep=asked["grep"],
        request=request,
        follow=asked["follow"],
    )


def journal_line(text: str, source: str, release: str) -> Line | None:
    """A line of journalctl's JSON; None for what is none."""
    try:
        entry = json.loads(text)
        message, at = entry["MESSAGE"], int(entry["__REALTIME_TIMESTAMP"]) / 1e6
    except (ValueError, KeyError, TypeError):
        return None
    if isinstance(message, list):
        # What is not UTF-8 comes as the numbers of its bytes.
        message = bytes(message).decode(errors="replace")
    moment = datetime.fromtimestamp(at, UTC)
    return Line(moment, source, str(message or ""), str(entry.get("__CURSOR", text)), release)


def nginx_line(text: str) -> Line | None:
    """A line of Nginx's access log; None for what is none."""
    found = NGINX.match(text)
    if not found:
        return None
    try:
        at = datetime.fromisoformat(found["at"]).astimezone(UTC)
    except ValueError:
        return None
    release = found["release"] if RELEASE_ID.fullmatch(found["release"]) else ""
    return Line(at, NGINX_SOURCE, text, found["request"], release)


def wanted(line: Line, asked: Question) -> bool:
    """Whether somebody asked for it; the release is the source's business."""
    return (
        (asked.since is None or line.at >= asked.since)
        and asked.grep in line.text
        and asked.request in line.text
    )


def in_order(lines: Iterable[Line]) -> list[Line]:
    """Sorted by time. Nginx tells whole seconds and writes last: its lines end their second."""
    return sorted(
        lines,
        key=lambda line: (line.at.replace(microsecond=0), line.source == NGINX_SOURCE, line.at),
    )


@dataclass(frozen=True)
class Source:
    """Where lines come from: verbs of the helper for those there are and those to come."""

    past: tuple[str, ...]
    future: tuple[str, ...]
    parse: Callable[[str], Line | None]


def logs(ctx: Context, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Report the lines asked for as events; with ``follow`` until the controller says enough."""
    question_ = question(asked, ctx.site.processes, datetime.now(UTC))
    # Before anything is shown: an unknown release is an error, not an empty log.
    release = reading.chosen(ctx, question_.release or None).id
    if question_.request:
        found = _request(ctx, question_, release)
    else:
        found = _past(ctx, _source(question_, release), question_)
    for line in found:
        ctx.reporter.event(line=line.to_json())
    if question_.follow:
        _follow(ctx, question_, release, {line.key for line in found})
    return {"release": release}


def _source(asked: Question, release: str) -> Source:
    if asked.nginx:
        only = release if asked.release else ""

        def of_release(text: str) -> Line | None:
            line = nginx_line(text)
            return line if line and only in ("", line.release) else None

        return Source(("nginx",), ("follow-nginx",), of_release)
    # The helper need not hand out what is thrown away here.
    picked = asked.grep or asked.request
    since = int(asked.since.timestamp()) if asked.since else 0
    return Source(
        ("journal", release, asked.process, str(since), str(0 if picked else asked.lines)),
        ("follow", release, asked.process),
        lambda text: journal_line(text, asked.process, release),
    )


def _past(ctx: Context, source: Source, asked: Question) -> list[Line]:
    kept: deque[Line] = deque(maxlen=asked.lines or MOST_LINES)
    with _reading(ctx, source.past) as process:
        assert process.stdout
        for text in process.stdout:
            line = source.parse(text.rstrip("\n"))
            if line and wanted(line, asked):
                kept.append(line)
    return list(kept)


def _request(ctx: Context, asked: Question, live: str) -> list[Line]:
    """Both sorts of lines about one request, in the order of time."""
    shown = _past(ctx, Source(("nginx",), (), nginx_line), asked)
    answered = next((line.release for line in shown if line.release), "")
    release = answered if answered and read(ctx.layout, answered) else live
    lines = in_order([*_past(ctx, _source(asked, release), asked), *shown])
    if not lines:
        raise Refused(
            f"Neither Nginx nor {release} has a line about the request {asked.request}. Nginx "
            "keeps today's and yesterday's. See them: invoke logs --nginx"
        )
    return lines


def _follow(ctx: Context, asked: Question, release: str, shown: set[str]) -> None:
    """Report lines as they come. Whoever follows the live release goes along with a switch."""
    while not ctx.cancel.is_set():
        source = _source(asked, release)
        with _reading(ctx, source.future) as process:
            # What came between the first look and now is in neither.
            for line in _past(ctx, source, asked):
                if line.key not in shown:
                    ctx.reporter.event(line=line.to_json())
                    shown.add(line.key)
            came: queue.Queue[str | None] = queue.Queue()
            threading.Thread(target=_pump, args=(process, came), daemon=True).start()
            newer = _until_switched(ctx, asked, source, release, came, shown)
        if newer is None:
            return
        release, shown = newer, set()
        ctx.reporter.event(phase="logs", note=f"{release} is live now")


def _until_switched(
    ctx: Context,
    asked: Question,
    source: Source,
    release: str,
    came: queue.Queue[str | None],
    shown: set[str],
) -> str | None:
    """Report until nobody reads any more (None), or another release is live (its id)."""
    live = not asked.release and not asked.nginx
    while not ctx.cancel.is_set():
        with suppress(queue.Empty):
            text = came.get(timeout=LOOK_SECONDS)
            if text is None:
                return None
            line = source.parse(text.rstrip("\n"))
            if line and wanted(line, asked) and line.key not in shown:
                ctx.reporter.event(line=line.to_json())
            continue
        current = current_id(ctx.layout) if live else release
        if current and current != release:
            return current
    return None


def _pump(process: subprocess.Popen[str], came: queue.Queue[str | None]) -> None:
    assert process.stdout
    for text in process.stdout:
        came.put(text)
    came.put(None)


@contextmanager
def _reading(ctx: Context, verb: tuple[str, ...]) -> Iterator[subprocess.Popen[str]]:
    """The helper, whose input is held open while the block runs; it ends when that is closed."""
    process = subprocess.Popen(
        (*ctx.site.unit_helper, *verb),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    try:
        yield process
    finally:
        process.stdin.close()
        problem = process.stderr.read().strip()
        process.wait()
    if process.returncode:
        raise Refused(
            f"`{ctx.site.app}-unit {verb[0]}` is not what it should be. Run: ansible-playbook "
            "site.yml",
            problem.splitlines(),
        )
