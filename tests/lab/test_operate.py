"""The commands of every day on a real droplet: shells, logs, what runs, the certificate."""

import json
import os
import re
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import pair
from tests.lab.faults.visitors import Visitors, slowest
from tests.lab.site import BIN, Done, Site, environment, until
from tests.lab.terminal import COLUMNS, CTRL_C, CTRL_D, ROWS, Terminal

APP = "locallibrary"
COMMANDS_LEFT = f"systemctl list-units --plain --no-legend '{APP}-manage-*'"
FOLLOWERS_LEFT = (
    "pgrep --full 'journalctl.*--follow|tail --follow|grep --line-buffered|[l]ibrary-unit follow'"
)


@pytest.fixture
def release(site: Site) -> str:
    return site.release()


def piped(site: Site, typed: str, *words: str) -> Done:
    """invoke with something in its input; ``words`` begin with the task."""
    task, *rest = words
    done = subprocess.run(
        (str(BIN / "invoke"), task, "--env", site.name, *rest),
        cwd=site.clone,
        env=environment(),
        input=typed,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return Done(" ".join(words), done.returncode, done.stdout, done.stderr)


def nothing_left(site: Site, command: str) -> None:
    """What the command lists is gone within seconds."""
    until(lambda: not site.ssh(command).stdout.strip())


# --- commands in a release ---


def test_a_pipe_goes_into_the_shell_and_out_of_it(site: Site) -> None:
    done = piped(site, "print('from', 'a pipe')\n", "shell")
    assert done.code == 0, done
    assert done.stdout.splitlines()[-1] == "from a pipe"
    done = piped(site, "SELECT 40 + 2\n", "dbshell", "--", "--", "--tuples-only", "--no-align")
    assert (done.code, done.stdout) == (0, "42\n"), done


def test_a_command_gets_its_words_and_gives_its_exit_code(site: Site, release: str) -> None:
    script = """for x in a 'b  c'; do echo "${x}|$x"; done; echo "$RELEASE_ID"; id -un; exit 7"""
    done = piped(site, "", "run", "--", "sh", "-c", script)
    assert done.code == 7, done
    assert done.stdout.splitlines() == ["a|a", "b  c|b  c", release, APP]
    # Nothing but the command's own output.
    assert done.stderr == "", done


def test_bytes_pass_unchanged(site: Site, tmp_path: Path) -> None:
    data = os.urandom(1 << 20)
    argv = (str(BIN / "invoke"), "run", "--env", site.name, "--", "cat")
    done = subprocess.run(
        argv, cwd=site.clone, env=environment(), input=data, stdout=subprocess.PIPE, timeout=120
    )
    assert done.returncode == 0
    assert done.stdout == data


def test_it_is_the_release_s_own_packages_and_config_vars(site: Site) -> None:
    code = "import django, os; print(django.__file__, 'DATABASE_URL' in os.environ, os.getcwd())"
    done = piped(site, "", "run", "--", "python", "-c", code)
    assert re.fullmatch(
        rf"/srv/{APP}/(venvs|releases)/\S+ True /srv/{APP}/releases/\S+/app\n", done.stdout
    ), done


def test_an_unknown_release_is_one_sentence(site: Site) -> None:
    for words in (("shell",), ("run", "--release", "2019", "--", "true")):
        options = () if "--release" in words else ("--release", "2019")
        done = piped(site, "", words[0], *options, *words[1:])
        assert (done.code, done.stdout) == (2, ""), done
        assert done.stderr.startswith("refused: No release 2019; there are: "), done
        assert len(done.stderr.splitlines()) == 1


def test_an_unknown_host_key_is_refused(site: Site) -> None:
    done = site.invoke("shell", env="unknown-key")
    assert done.code == 2, done
    assert "is not known" in done.stderr


def test_the_shell_has_a_terminal(site: Site) -> None:
    with Terminal(site.clone, "invoke", "shell", "--env", site.name) as terminal:
        terminal.wait_for(">>> ")
        terminal.type("import os, time; print(tuple(os.get_terminal_size()))\n")
        assert terminal.wait_for(r"\(\d+, \d+\)")[0] == f"({COLUMNS}, {ROWS})"
        terminal.resize(20, 60)
        time.sleep(1)
        terminal.type("print(tuple(os.get_terminal_size()))\n")
        assert terminal.wait_for(r"\(\d+, \d+\)")[0] == "(60, 20)"
        # Ctrl-C is the command's own: the shell goes on.
        terminal.type("print('go' + 'ing'); time.sleep(120)\n")
        terminal.wait_for("going")
        terminal.type(CTRL_C)
        terminal.wait_for("KeyboardInterrupt")
        terminal.wait_for(">>> ")
        terminal.type("raise SystemExit(9)\n")
        assert terminal.code() == 9


def test_dbshell_has_a_terminal(site: Site) -> None:
    with Terminal(site.clone, "invoke", "dbshell", "--env", site.name) as terminal:
        terminal.wait_for("=> ")
        terminal.type("SELECT 40 + 2;\n")
        terminal.wait_for("42")
        terminal.wait_for("=> ")
        terminal.type(CTRL_D)
        assert terminal.code() == 0


@pytest.mark.slow
@pytest.mark.parametrize("end", ["ctrl-c", "closed window", "killed", "pipe"])
def test_a_command_does_not_outlive_whoever_started_it(site: Site, end: str) -> None:
    words = ("run", "--env", site.name, "--", "sh", "-c", "echo st''arted; sleep 333; sleep 333")
    if end == "pipe":
        with subprocess.Popen(
            (str(BIN / "invoke"), *words),
            cwd=site.clone,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            assert process.stdout
            assert process.stdout.readline() == "started\n"
            # As a terminal's Ctrl-C would, to it and to the ssh below it.
            os.killpg(process.pid, signal.SIGINT)
            assert process.wait(30) == 130
    else:
        with Terminal(site.clone, "invoke", *words) as terminal:
            terminal.wait_for("started")
            if end == "ctrl-c":
                terminal.type(CTRL_C)
                assert terminal.code() == 130
            elif end == "closed window":
                terminal.hang_up()
                terminal.code()
    nothing_left(site, f"{COMMANDS_LEFT}; pgrep --full '[s]leep 333'")


# --- logs ---


def log(site: Site, *options: str) -> list[str]:
    done = site.invoke("logs", *options)
    assert done.code == 0, done
    assert done.stderr == "", done
    return done.stdout.splitlines()


def asked(site: Site, path: str) -> str:
    """Ask for a page that is not there; returns the id that Nginx gave the request."""
    assert site.get(path).status == 404
    found: list[str] = []

    def logged() -> bool:
        found.extend(re.findall(r"\b[0-9a-f]{32}\b", "".join(log(site, "--nginx", "--grep", path))))
        return bool(found)

    until(logged)
    return found[0]


def test_the_journal_of_the_live_release(site: Site, release: str) -> None:
    path = f"/nowhere-{time.monotonic_ns()}"
    asked(site, path)
    (line,) = log(site, "--grep", path)
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d web WARNING django.request", line), line
    assert len(log(site, "--lines", "3")) == 3
    assert log(site, "--since", "1s", "--grep", release) == []
    done = site.invoke("logs", "--json", "--lines", "2")
    told = [json.loads(text) for text in done.stdout.splitlines()]
    assert [(entry["source"], entry["release"]) for entry in told] == [("web", release)] * 2


def test_a_request_is_told_by_both_in_order(site: Site, release: str) -> None:
    path = f"/nowhere-{time.monotonic_ns()}"
    request = asked(site, path)
    app, nginx = log(site, "--request", request)
    assert f"WARNING django.request {request}: Not Found: {path}" in app
    assert " nginx " in nginx
    assert f'"GET {path} HTTP/1.1" 404' in nginx
    assert log(site, "--nginx", "--release", release, "--grep", path) == [nginx]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--since", "soon"), "'soon' is no time. Write it like"),
        (("--lines", "many"), "'many' is no number of lines"),
        (("--process", "worker"), "No process worker runs here, only: web"),
        (("--release", "2019"), "No release 2019; there are: "),
        (("--request", "*"), "'*' is no id of a request"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_wrong_option_is_one_sentence(
    site: Site, options: tuple[str, ...], sentence: str
) -> None:
    done = site.invoke("logs", *options)
    assert (done.code, done.stdout) == (2, ""), done
    assert done.stderr.startswith(f"refused: {sentence}"), done
    assert len(done.stderr.splitlines()) == 1


def shows(process: "subprocess.Popen[str]", text: str, seconds: float) -> bool:
    """Whether a line with this text comes in time; a process that shows none is killed."""
    assert process.stdout
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        return any(text in line for line in process.stdout)
    finally:
        timer.cancel()


@pytest.fixture
def following(site: Site, request: pytest.FixtureRequest) -> Iterator["subprocess.Popen[str]"]:
    """invoke logs --follow, with the options that the test is parametrized with."""
    process = site.start("logs", "--follow", "--lines", "1", *request.param)
    assert shows(process, " ", 30)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("following", [(), ("--nginx",)], ids=["journal", "nginx"], indirect=True)
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_follow_shows_what_comes_and_leaves_nothing(
    site: Site, following: "subprocess.Popen[str]", end: signal.Signals
) -> None:
    until(lambda: site.ssh(FOLLOWERS_LEFT).code == 0)
    path = f"/nowhere-{time.monotonic_ns()}"
    assert site.get(path).status == 404
    assert shows(following, path, 10)
    following.send_signal(end)
    assert following.wait(15) == (0 if end == signal.SIGINT else -signal.SIGKILL)
    nothing_left(site, FOLLOWERS_LEFT)


@pytest.mark.slow
@pytest.mark.parametrize("following", [()], indirect=True)
def test_follow_goes_along_with_a_switch(
    site: Site, release: str, following: "subprocess.Popen[str]"
) -> None:
    site.commit({"app/CHANGES.txt": f"{time.monotonic_ns()}\n"}, "Something new")
    done = site.invoke("deploy")
    assert done.code == 0, done
    path = f"/nowhere-{time.monotonic_ns()}"
    assert site.get(path).status == 404
    assert shows(following, path, 20)
    assert site.release() != release


@pytest.mark.parametrize("option", ["", "--json"])
def test_whoever_has_read_enough_ends_it(site: Site, option: str) -> None:
    line = (
        f'192.0.2.1 [2026-01-01T00:00:00Z] "GET / HTTP/1.1" 200 1 0.1s {"a" * 32} {site.domain} -'
    )
    # More than a pipe holds.
    site.ask(f"yes {shlex.quote(line)} | head -n 3000 >> /var/log/nginx/access.log")
    show = f"{BIN / 'invoke'} logs --nginx --lines 3000 {option} --env {site.name}"
    done = subprocess.run(
        ("timeout", "60", "sh", "-c", f"{show} | head -n 2"),
        cwd=site.clone,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 2), done
    assert done.stderr == ""


# --- what runs ---


def test_ps_tells_what_runs(site: Site, release: str) -> None:
    (entry,) = site.json("ps")
    assert (entry["process"], entry["release"], entry["live"]) == ("web", release, True)
    assert entry["state"] == "active/running"
    pid = site.ask(f"systemctl show -P MainPID {APP}-web@{release}.service")
    age = int(site.ask(f"ps -o etimes= -p {pid}"))
    assert abs(entry["uptime"] - age) < 10
    # Gunicorn and its workers: more than ten megabytes, less than the droplet.
    assert 10e6 < entry["memory"] < 1e9
    assert 0.1 < entry["cpu"] < 600
    done = site.invoke("ps")
    assert re.search(rf"^web +{release} \(live\) +active/running", done.stdout, re.MULTILINE), done


def test_a_restart_loses_no_request(site: Site, release: str) -> None:
    before = site.ask(f"systemctl show -P MainPID {APP}-web@{release}.service")
    with Visitors(site) as visitors:
        visitors.wait_for(2)
        for _ in range(3):
            done = site.invoke("ps.restart")
            assert done.code == 0, done
            visitors.wait_for(1)
    history = visitors.history
    assert len(history) > 100
    assert [record for record in history if not record.good] == []
    assert {record.release for record in history} == {release}
    # They waited in the socket meanwhile, and not for long.
    assert slowest(history) < 10
    assert site.ask(f"systemctl show -P MainPID {APP}-web@{release}.service") != before
    last = json.loads(site.ask(f"tail -n 1 /srv/{APP}/deploys.jsonl"))
    assert (last["event"], last["release"], last["process"]) == ("restarted", release, "web")
    assert last["who"]
    assert {r["id"]: r["state"] for r in site.json("releases")}[release] == "live"


def test_a_process_that_does_not_run_is_not_restarted(site: Site) -> None:
    done = site.invoke("ps.restart", "--process", "worker")
    assert done.code == 2, done
    assert "No process worker runs here, only: web" in done.stderr


# --- the site as visitors find it ---


def test_certs_tell_when_it_is_renewed(site: Site) -> None:
    told = site.json("certs")
    shown = site.get().certificate
    assert sorted(told["certificate"]["names"]) == sorted(
        name for _, name in shown["subjectAltName"]
    )
    assert "Pebble" in told["certificate"]["issuer"]
    assert told["due"] is False
    assert told["next_attempt"] is not None
    done = site.invoke("certs")
    assert done.code == 0, done
    assert re.search(r"^next attempt +\d{4}-\d\d-\d\d \d\d:\d\d UTC", done.stdout, re.MULTILINE)


def test_a_certificate_that_should_have_been_renewed_is_exit_code_1(site: Site) -> None:
    chain, key = pair([site.domain], days_gone=70, days_left=20)
    live = f"/etc/ssl/{APP}/live"
    site.ask(f"cp --archive $(readlink --canonicalize {live}) /root/kept")
    try:
        for name, text in (("fullchain.pem", chain), ("privkey.pem", key)):
            site.ask(f"printf %s {shlex.quote(text)} > {live}/{name}")
        site.ask("systemctl reload nginx")
        until(lambda: site.invoke("certs").code == 1)
        done = site.invoke("certs", "--json")
        assert json.loads(done.stdout)["due"] is True
        assert "It should have been renewed" in site.invoke("certs").stdout
    finally:
        site.ask(f"cp /root/kept/*.pem {live}/ && rm -r /root/kept && systemctl reload nginx")
    until(lambda: site.invoke("certs").code == 0)


def test_open_tells_the_browser(site: Site, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    done = subprocess.run(
        (str(BIN / "invoke"), "open", "--env", site.name),
        cwd=site.clone,
        env={**environment(), "BROWSER": str(browser)},
        capture_output=True,
        text=True,
    )
    address = f"https://{site.domain}/\n"
    assert (done.returncode, done.stdout) == (0, address), done
    until((tmp_path / "opened").exists)
    assert (tmp_path / "opened").read_text() == address
