"""The logs: what was typed becomes a question, and lines of two sorts are put in order."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.cli.logs import styled
from deploy.host import moments
from deploy.host.errors import Refused
from deploy.host.logs import LINES, Line, in_order, journal_line, nginx_line, question, wanted

NOW = datetime(2026, 11, 25, 13, 30, 0, tzinfo=UTC)
ID = "ef03d11b5eeaea1a2591432133f33cc0"
TYPED: dict[str, Any] = {
    "process": "",
    "nginx": False,
    "release": "",
    "since": "",
    "lines": "",
    "grep": "",
    "request": "",
    "follow": False,
}


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("10 min ago", timedelta(minutes=10)),
        ("-2h", timedelta(hours=2)),
        ("90s", timedelta(seconds=90)),
        ("3 days", timedelta(days=3)),
        ("today", timedelta(hours=13, minutes=30)),
        ("yesterday", timedelta(days=1, hours=13, minutes=30)),
        ("13:00", timedelta(minutes=30)),
        # Still to come today.
        ("13:45:30", timedelta(days=1) - timedelta(minutes=15, seconds=30)),
        ("2026-11-25 13:29", timedelta(minutes=1)),
        ("2026-11-25T14:29+01:00", timedelta(minutes=1)),
    ],
)
def test_a_moment_is_written_as_people_do(text: str, before: timedelta) -> None:
    assert moments.parse(text, NOW) == NOW - before


@pytest.mark.parametrize("text", ["xyz", "10 parsecs ago", "25:00", "2026-13-01", "*", "@0"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="is no time. Write it like"):
        moments.parse(text, NOW)


def test_without_a_word_it_is_the_end_of_the_web_s_journal() -> None:
    asked = question(TYPED, ["worker"], NOW)
    assert (asked.process, asked.lines, asked.since) == ("web", LINES, None)
    # Whoever names a time wants all since then.
    assert question({**TYPED, "since": "1h"}, [], NOW).lines == 0
    assert question({**TYPED, "since": "1h", "lines": "7"}, [], NOW).lines == 7


@pytest.mark.parametrize(
    "typed",
    [
        {"process": "worker"},
        {"process": "*"},
        {"lines": "0"},
        {"lines": "many"},
        {"lines": "100000"},
        {"lines": "-1"},
        {"since": "soon"},
        {"request": "*"},
        {"request": ID, "follow": True},
        {"nginx": True, "process": "web"},
    ],
    ids=str,
)
def test_what_means_nothing_is_refused(typed: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        question({**TYPED, **typed}, [], NOW)


def entry(message: Any, seconds: float) -> str:
    moment = NOW + timedelta(seconds=seconds)
    micros = str(int(moment.timestamp() * 1e6))
    return json.dumps({"MESSAGE": message, "__REALTIME_TIMESTAMP": micros, "__CURSOR": micros})


def test_a_line_of_the_journal() -> None:
    line = journal_line(entry("hello", 0.5), "web", "id")
    assert line
    assert (line.at, line.text) == (NOW + timedelta(seconds=0.5), "hello")
    bytes_ = journal_line(entry([104, 105, 255], 0), "web", "id")
    assert bytes_
    assert bytes_.text == "hi\ufffd"
    assert journal_line("-- No entries --", "web", "id") is None
    empty = journal_line(entry(None, 0), "web", "id")
    assert empty
    assert empty.text == ""


def nginx(second: int, request: str = ID) -> Line:
    at = (NOW + timedelta(seconds=second)).isoformat()
    text = f'192.0.2.1 [{at}] "GET / HTTP/2.0" 200 1 0.025s {request} site release "-" "curl"'
    line = nginx_line(text)
    assert line
    return line


def test_both_sorts_in_the_order_of_time() -> None:
    """Nginx writes when all is over and tells whole seconds: its line comes after the app's."""
    app = [journal_line(entry(text, at), "web", "id") for text, at in (("b", 1.9), ("a", 0.2))]
    lines = in_order([nginx(1), nginx(2), *(line for line in app if line)])
    assert [line.text if line.source == "web" else line.at.second for line in lines] == [
        *("a", "b"),
        *(1, 2),
    ]


def test_only_what_was_asked_for() -> None:
    line = nginx(0)
    assert wanted(line, question({**TYPED, "grep": " 200 ", "request": ID}, [], NOW))
    assert not wanted(line, question({**TYPED, "grep": ".*"}, [], NOW))
    assert not wanted(line, question({**TYPED, "request": "0" * 32}, [], NOW))
    assert not wanted(line, question({**TYPED, "since": "1s"}, [], NOW + timedelta(seconds=9)))


def test_a_log_does_not_move_the_cursor_of_its_reader() -> None:
    told = {"at": NOW.isoformat(), "source": "web", "text": "a\x1b[2Jb\tc\x07 [red]"}
    assert styled(told).plain == "2026-11-25 13:30:00 web a\\x1b[2Jb\tc\\x07 [red]"
