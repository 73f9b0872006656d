"""The connection that is kept: when it is used, and when Fabric makes one instead."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy import commands, multiplexed, pipe, runner
from deploy.session import Channel, Start
from deploy.shipping import tool
from deploy.target import Target, parse
from tests.unit.test_inventory import FACTS

# OpenSSH's client: what it was asked is kept, its last argument is run as the droplet would.
SSH = """#!/bin/sh
echo "$@" >>{log}
case $1 in -O*) exit 0 ;; esac
{does}
"""
RUN = 'for line; do :; done; eval "$line"'


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(multiplexed, "WORD_SECONDS", 0.5)
    return tmp_path / "log"


def openssh(log: Path, does: str) -> None:
    client = log.with_name("ssh")
    client.write_text(SSH.format(log=log, does=does))
    client.chmod(0o755)


@pytest.fixture
def fabric(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that Fabric was asked to start."""
    asked: list[str] = []

    @contextmanager
    def connected(target: Target) -> Iterator[Start]:
        asked.append("connect")

        def start(line: str) -> Channel:
            asked.append(line)
            return pipe.Process(("/bin/cat",))

        yield start

    monkeypatch.setattr(runner, "connected", connected)
    return asked


def droplet(known_hosts: str = "", **facts: str) -> Target:
    return parse("web1", {**FACTS, "known_hosts": known_hosts, **facts}, "inventory/staging.yml")


def said(channel: Channel) -> bytes:
    channel.end()
    return b"".join(iter(channel.receive, b""))


def test_a_command_gets_its_input_and_gives_its_output(log: Path, fabric: list[str]) -> None:
    openssh(log, RUN)
    with multiplexed.connected(droplet()) as start:
        channel = start("wc -c; echo 'to the end' >&2; exit 3")
        channel.send(b"a line\n" * 100_000)
        assert said(channel) == b"700000\n"
        assert (channel.code(), channel.complaint()) == (3, "to the end\n")
    assert fabric == []


def test_a_release_tool_that_was_begun_ahead_is_the_one_that_is_talked_to(
    log: Path, fabric: list[str]
) -> None:
    openssh(log, "echo; echo tool; cat")
    line = commands.serve(droplet(), tool().digest)
    with multiplexed.begun(droplet())(droplet()) as start:
        for text in (b"first\n", b"second\n"):
            channel = start(line)
            channel.send(text)
            assert said(channel) == b"tool\n" + text
    # The second one was started when it was asked for.
    assert len(log.read_text().splitlines()) == 2
    assert fabric == []


@pytest.mark.parametrize(
    "does", ["exit 255", "echo 'Welcome to web1'; exit 1", "exec sleep 60", "exec <&-; sleep 60"]
)
def test_where_beginning_ahead_finds_no_way_in_fabric_is_told_what_was_said(
    log: Path, fabric: list[str], does: str
) -> None:
    openssh(log, does)
    line = commands.serve(droplet(), tool().digest)
    with multiplexed.begun(droplet())(droplet()) as start:
        channel = start(line)
        time.sleep(0.1)
        for text in (b"first\n", b"second\n"):
            channel.send(text)
        assert said(channel) == b"first\nsecond\n"
    assert fabric == ["connect", line]


def test_a_release_tool_that_was_begun_ahead_is_spoken_to_before_it_answers(log: Path) -> None:
    openssh(log, "read line; echo; echo $line")
    with multiplexed.begun(droplet())(droplet()) as start:
        channel = start(commands.serve(droplet(), tool().digest))
        channel.send(b"from far away\n")
        assert said(channel) == b"from far away\n"


def test_without_openssh_nothing_is_begun_ahead(
    log: Path, fabric: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(log.parent))
    with multiplexed.begun(droplet())(droplet()) as start:
        channel = start(commands.serve(droplet(), tool().digest))
        channel.send(b"first\n")
        assert said(channel) == b"first\n"
    assert fabric[0] == "connect"


def test_its_options_ask_nobody_and_keep_the_connection(log: Path, fabric: list[str]) -> None:
    openssh(log, RUN)
    with multiplexed.connected(droplet()) as start:
        said(start("true"))
    asked = log.read_text()
    assert "-oBatchMode=yes -oControlMaster=auto -oControlPersist=300" in asked
    assert f"-oControlPath={log.parent}/slipway-" in asked
    assert "-oStrictHostKeyChecking=yes" in asked


@pytest.mark.parametrize("does", ["exit 255", "echo 'Welcome to web1'; exit 1"])
def test_where_openssh_finds_no_way_fabric_does_or_says_why(
    log: Path, fabric: list[str], does: str
) -> None:
    openssh(log, does)
    with multiplexed.connected(droplet()) as start:
        start("one")
        start("two")
    assert fabric == ["connect", "one", "two"]
    assert len(log.read_text().splitlines()) == 1


def test_without_openssh_there_is_fabric(
    log: Path, fabric: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(log.parent))
    with multiplexed.connected(droplet()) as start:
        start("one")
    assert fabric == ["connect", "one"]


def test_a_dead_connection_is_not_asked_again(log: Path, fabric: list[str]) -> None:
    openssh(log, "exec sleep 60")
    with multiplexed.connected(droplet()) as start:
        start("one")
    assert fabric == ["connect", "one"]
    # Who else talks over it is not cut off.
    assert log.read_text().splitlines()[1].startswith("-Ostop ")


def kept(log: Path, target: Target) -> str:
    openssh(log, RUN)
    with multiplexed.connected(target) as start:
        said(start("true"))
    words = log.read_text().splitlines()[-1].split()
    return next(word for word in words if "ControlPath" in word)


def test_another_key_of_the_host_means_another_connection(log: Path, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text("web1 ssh-ed25519 AAAA\n")
    first = kept(log, droplet(str(known)))
    assert kept(log, droplet(str(known))) == first
    assert kept(log, droplet(str(known), identity_file="/keys/other")) != first
    known.write_text("web1 ssh-ed25519 BBBB\n")
    assert kept(log, droplet(str(known))) != first
