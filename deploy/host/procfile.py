"""The Procfile, in Heroku's format, and what its lines become on the droplet."""

from __future__ import annotations

import re
import shlex

LINE = re.compile(r"([A-Za-z0-9_-]+):\s*(\S.*)")
# The socket comes from systemd, so where the line would listen itself is left out.
BIND = re.compile(r"""\s(?:--bind(?:=|\s+)|-b(?:=|\s*))(?:"[^"]*"|'[^']*'|\S+)""")
# What runs a command in an environment that the release is already.
RUNNERS = (("uv", "run"), ("poetry", "run"), ("pipenv", "run"), ("pdm", "run"), ("rye", "run"))
OTHER_SERVERS = {
    *("uwsgi", "waitress-serve", "daphne", "uvicorn", "hypercorn", "granian", "mod_wsgi-express"),
    *("runserver", "runserver_plus"),
}
ASYNCHRONOUS = {"daphne", "uvicorn", "hypercorn"}
# A release line that does no more than a deploy does by itself.
MIGRATES = re.compile(r"(python3?\s+)?(\./)?manage\.py\s+migrate(\s+--no-?input)?")


def processes(procfile: str) -> dict[str, str]:
    """Process types and their commands.

    A ``release`` line that only migrates is left out: migrations are a phase of their own here.
    """
    found = _lines(procfile)
    if MIGRATES.fullmatch(_without_runner(found.get("release", ""))):
        del found["release"]
    return found


def process_type(instance: str) -> str:
    """The type that an instance is of: the second worker is called ``worker.2``."""
    return instance.partition(".")[0]


def web_problem(command: str, application: str = "mysite.wsgi") -> str | None:
    """Why a web line cannot be handed its socket, with the line that can; None when it can.

    Args:
        application: the project's WSGI or ASGI module, for the advice.
    """
    try:
        words = [word.rpartition("/")[2] for word in shlex.split(command)]
    except ValueError as error:
        return f"cannot be read ({error})"
    if "gunicorn" in words:
        return None
    server = next((word for word in words if word in OTHER_SERVERS), words[0])
    if server in ASYNCHRONOUS or any("asgi" in word for word in words):
        line = f"gunicorn --worker-class asgi {application.replace('wsgi', 'asgi')}"
    else:
        line = f"gunicorn {application}"
    return f"runs {server}, and only Gunicorn is handed the socket here; write: web: {line}"


def script(name: str, command: str) -> str:
    """The shell script of a process type.

    systemd has to see the program itself as the unit's main process, so its last command replaces
    the shell (exec); env, because a command may begin with variables of its own.
    """
    if name == "web":
        command = BIND.sub("", command)
    before, _, last = _without_runner(command).rpartition("&&")
    first = f"{before.strip()} && " if before.strip() else ""
    return f"#!/bin/sh\n{first}exec env {last.strip()}\n"


def _lines(procfile: str) -> dict[str, str]:
    found = map(LINE.match, procfile.splitlines())
    return {match[1]: match[2].strip() for match in found if match}


def _without_runner(command: str) -> str:
    for runner in RUNNERS:
        prefix = " ".join(runner)
        if command.startswith(f"{prefix} "):
            return command.removeprefix(prefix).lstrip()
    return command
