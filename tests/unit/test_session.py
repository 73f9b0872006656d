"""The conversation with a release tool, through pipes to a process of this machine."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy import pipe
from deploy.errors import NeedsYou, Refused
from deploy.session import Session
from deploy.shipping import tool
from deploy.target import Target, parse
from tests.unit.test_inventory import FACTS

TARGET = parse("web1", FACTS, "inventory/staging.yml")
# What every tool of these tests begins with: it answers `open` with what it was told.
OPENS = """\
import json, os, sys, time

def say(**facts):
    print(json.dumps(facts), flush=True)

def hear():
    return json.loads(sys.stdin.buffer.readline())

opening = hear()
say(result=opening)
"""


@pytest.fixture
def target(tmp_path: Path) -> Target:
    (tmp_path / "tools").mkdir()
    return replace(TARGET, root=str(tmp_path))


def plant(target: Target, rest: str = "") -> None:
    """A tool that says what a test wants it to say, where the real one would be."""
    folder = Path(target.root) / "tools" / tool().digest
    folder.mkdir()
    (folder / "__main__.py").write_text(OPENS + textwrap.dedent(rest))


@pytest.fixture
def events() -> list[dict[str, Any]]:
    return []


def opened(target: Target, events: list[dict[str, Any]], rest: str) -> Session:
    """A conversation with a tool that goes on like this once it is open."""
    plant(target, rest)
    with pipe.connected(target) as start:
        session = Session(target, start, "ada", events.append)
    told = session.open("git push", lock=True)
    assert told == {
        "who": "ada",
        "command": "git push",
        "lock": True,
        "wait": False,
        "recover": True,
    }
    return session


def test_a_droplet_without_the_tool_gets_the_real_one(target: Target) -> None:
    with (
        pipe.connected(target) as start,
        Session(target, start, "ada", print) as session,
        pytest.raises(Refused, match="never provisioned for mysite .*/mysite.json is missing"),
    ):
        session.open("git push", lock=True)
    assert (Path(target.root) / "tools" / tool().digest / "__main__.py").exists()


def test_a_droplet_that_was_not_provisioned_is_told_apart(target: Target) -> None:
    (Path(target.root) / "tools").rmdir()
    with (
        pipe.connected(target) as start,
        Session(target, start, "ada", print) as session,
        pytest.raises(Refused, match="web1 was never provisioned for mysite"),
    ):
        session.open("git push", lock=True)


def test_a_call_tells_its_events_and_gives_its_result(
    target: Target, events: list[dict[str, Any]]
) -> None:
    rest = """
        command = hear()
        say(phase="gate", state="started")
        say(result=command)
    """
    with opened(target, events, rest) as session:
        assert session.call("activate", {"release": "1"}) == {"do": "activate", "release": "1"}
    assert events == [{"phase": "gate", "state": "started"}]


def test_what_was_asked_ahead_is_answered_in_its_order(
    target: Target, events: list[dict[str, Any]]
) -> None:
    # It hears both before it answers the first.
    rest = """
        heard = [hear(), hear()]
        for command in heard:
            say(result=command)
        say(result=hear())
    """
    with opened(target, events, rest) as session:
        for name in ("collectstatic", "migrate"):
            session.ask(name, {"release": "1"})
        for name in ("collectstatic", "migrate", "activate"):
            assert session.call(name, {"release": "1"}) == {"do": name, "release": "1"}


def test_an_answer_that_nobody_wants_is_not_taken_for_another(
    target: Target, events: list[dict[str, Any]]
) -> None:
    rest = """
        for _ in range(2):
            say(result=hear())
    """
    with opened(target, events, rest) as session:
        session.ask("holdings")
        assert session.call("withdraw") == {"do": "withdraw"}


def test_a_failure_of_what_was_asked_ahead_is_told(
    target: Target, events: list[dict[str, Any]]
) -> None:
    rest = """
        hear()
        say(error={"kind": "refused", "message": "The disk is full", "detail": []})
        hear()
    """
    with opened(target, events, rest) as session:
        session.ask("seal")
        session.ask("activate", {"release": "1"})
        with pytest.raises(Refused, match="The disk is full"):
            session.call("activate", {"release": "1"})


def test_what_is_asked_with_the_opening_reaches_a_tool_that_had_to_be_installed(
    target: Target,
) -> None:
    with (
        pipe.connected(target) as start,
        Session(target, start, "ada", print) as session,
        pytest.raises(Refused, match="never provisioned for mysite"),
    ):
        session.open("git push", lock=True, then=["holdings"])


def test_a_push_sends_what_is_needed_and_nothing_else(
    target: Target, events: list[dict[str, Any]]
) -> None:
    rest = """
        command = hear()
        manifest = sys.stdin.buffer.read(command["bytes"])
        say(need=["b"])
        lengths = []
        while not lengths or lengths[-1]:
            lengths.append(int.from_bytes(sys.stdin.buffer.read(4), "big"))
            assert len(sys.stdin.buffer.read(lengths[-1])) == lengths[-1]
        say(result=[command["built_by"], manifest.decode(), lengths])
    """
    asked: list[list[str]] = []
    sent: list[int] = []

    def packed(need: list[str]) -> Iterator[bytes]:
        asked.append(need)
        yield os.urandom(200_000)
        # What is packed later is sent already when the next piece is asked for.
        assert sum(sent) == 200_008
        yield b"the rest"

    with opened(target, events, rest) as session:
        said = session.push(b"manifest", packed, sent.append)
    assert said == ["ada", "manifest", [200_000, 8, 0]]
    assert asked == [["b"]]
    assert sum(sent) == 200_016


def test_ctrl_c_asks_the_tool_to_back_out_and_waits_for_it(target: Target) -> None:
    rest = """
        hear()
        say(phase="gate", state="started")
        heard = sys.stdin.buffer.readline().decode()
        say(error={"kind": "backed out", "message": heard, "detail": []})
    """
    shown: list[dict[str, Any]] = []

    def show(facts: dict[str, Any]) -> None:
        shown.append(facts)
        if "state" in facts:
            raise KeyboardInterrupt

    plant(target, rest)
    with pipe.connected(target) as start, Session(target, start, "ada", show) as session:
        session.open("git push", lock=True)
        with pytest.raises(Exception, match="cancel"):
            session.call("activate")
    assert shown[-1] == {"phase": "activate", "note": "Ctrl-C: backing out"}


def test_a_tool_that_is_gone_is_told_with_its_last_words(
    target: Target, events: list[dict[str, Any]]
) -> None:
    rest = """
        hear()
        print("killed", file=sys.stderr, flush=True)
        os._exit(9)
    """
    with (
        opened(target, events, rest) as session,
        pytest.raises(NeedsYou, match="The conversation with web1 broke off") as lost,
    ):
        session.call("activate")
    assert list(lost.value.detail) == ["killed"]


def test_a_tool_that_is_silent_is_given_up(
    target: Target, events: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipe, "SILENCE_SECONDS", 0.2)
    begun = time.monotonic()
    with (
        opened(target, events, "time.sleep(5)") as session,
        pytest.raises(NeedsYou, match="broke off"),
    ):
        session.call("activate")
    assert time.monotonic() - begun < 4


def test_whoever_is_gone_does_not_end_what_the_tool_is_at(target: Target) -> None:
    """A push that is broken off: the operation under way ends, and no other begins."""
    rest = """
        command = hear()
        say(phase="gate", state="started")
        time.sleep(0.5)
        heard = sys.stdin.buffer.readline()
        print(heard, file=open(sys.argv[0] + "/../../left", "w"))
    """
    plant(target, rest)
    pusher = f"""
import os
from dataclasses import replace
from deploy import pipe
from deploy.session import Session
from tests.unit.test_session import TARGET

target = replace(TARGET, root={target.root!r})
with pipe.connected(target) as start:
    with Session(target, start, "ada", lambda facts: os._exit(1)) as session:
        session.open("git push", lock=True)
        session.call("activate")
"""
    assert subprocess.run((sys.executable, "-c", pusher)).returncode == 1
    left = Path(target.root) / "left"
    for _ in range(50):
        if left.exists() and left.read_text():
            break
        subprocess.run(("sleep", "0.1"))
    assert left.read_text() == "b''\n"


def test_the_terminal_s_ctrl_c_does_not_reach_the_tool(
    target: Target, events: list[dict[str, Any]]
) -> None:
    with opened(target, events, "hear(); say(result=os.getsid(0))") as session:
        assert session.call("activate") != os.getsid(0)


def test_it_is_not_the_tool_that_goes_when_memory_is_short(target: Target) -> None:
    plant(target, "hear(); say(result=open('/proc/self/oom_score_adj').read())")
    script = f"""
from dataclasses import replace
from pathlib import Path
from deploy import pipe
from deploy.session import Session
from tests.unit.test_session import TARGET

Path("/proc/self/oom_score_adj").write_text("500")
target = replace(TARGET, root={target.root!r})
with pipe.connected(target) as start, Session(target, start, "ada", print) as session:
    session.open("git push", lock=True)
    print(session.call("activate"))
"""
    done = subprocess.run((sys.executable, "-c", script), capture_output=True, text=True)
    assert done.stdout.split() == ["0"], done


def test_what_nobody_takes_is_given_up_without_waiting_for_words(
    target: Target, events: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = opened(target, events, "time.sleep(5)\n")

    def full(data: bytes) -> None:
        raise TimeoutError

    def heard() -> bytes:
        raise AssertionError("it waited for words")

    monkeypatch.setattr(session._channel, "send", full)
    monkeypatch.setattr(session._channel, "receive", heard)
    with session, pytest.raises(NeedsYou, match="broke off"):
        session.call("status")
