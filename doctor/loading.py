"""Loading a project's settings with some config vars, and what they are then."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from deploy import asking

PROBE = Path(__file__).parent / "probe.py"
SECONDS = 60
# Settings told as they are; none of them is a secret.
VALUES = (
    "SECURE_HSTS_SECONDS",
    "SECURE_HSTS_INCLUDE_SUBDOMAINS",
    "SECURE_HSTS_PRELOAD",
    "SECURE_SSL_REDIRECT",
    "SESSION_COOKIE_SECURE",
    "CSRF_COOKIE_SECURE",
    "WSGI_APPLICATION",
)
# Variables that are looked at by many programs, and decide nothing about a site.
NOISE = re.compile(r"DJANGO_SETTINGS_MODULE|PATH|HOME|USER|LANG|LC_\w+|TZ|PWD|PYTHON\w*")


@dataclass(frozen=True)
class Failure:
    """The error that ended it: its class, its words, and where in the project ("" elsewhere)."""

    kind: str
    text: str
    where: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}" if self.text else self.kind


@dataclass(frozen=True)
class Loaded:
    """What a project's settings are; how far it got is ``stage``, "done" at the end.

    ``names`` are the variables that the project asked for, in that order, ``missed`` those of them
    that were not there. ``secret_key`` is "given", "own" or "". ``email`` and each of ``caches``
    are a backend and where it leads to.
    """

    stage: str
    error: Failure | None = None
    names: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    module: str = ""
    django: str = ""
    debug: bool = False
    allowed_hosts: tuple[str, ...] = ()
    refused_hosts: tuple[str, ...] = ()
    secret_key: str = "given"
    database: Mapping[str, str] = field(default_factory=dict)
    proxy_header: tuple[str, ...] = ()
    middleware: tuple[str, ...] = ()
    static_root: str = ""
    media_root: str = ""
    media_storage: str = ""
    email: tuple[str, ...] = ()
    caches: tuple[tuple[str, str], ...] = ()
    log_files: tuple[str, ...] = ()
    values: Mapping[str, object] = field(default_factory=dict)
    uploads: tuple[str, ...] = ()
    pages: Mapping[str, bool] = field(default_factory=dict)

    @property
    def settings_known(self) -> bool:
        return self.stage in ("apps", "pages", "done")


class Project:
    """A project that can be asked, by one process of its own Python; a context manager.

    Args:
        python: of a venv with its packages.
        source: its folder.
        hosts: names that its settings should let in.
        pages: paths that should lead to a page.
    """

    def __init__(
        self, python: Path, source: Path, hosts: tuple[str, ...], pages: tuple[str, ...]
    ) -> None:
        self.python, self.source = python, source
        self._asked = {"hosts": hosts, "pages": pages, "values": VALUES}
        self._process: subprocess.Popen[str] | None = None
        self._number = 0

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="slipway-probe-")
        return self

    def __exit__(self, *error: object) -> None:
        self._end()
        self._folder.cleanup()

    def load(self, given: Mapping[str, str], apps: bool = False) -> Loaded:
        """Its settings with these config vars, in a process of their own; never raises for them.

        Args:
            apps: load the apps and the URLs as well.
        """
        self._number += 1
        place = Path(self._folder.name, str(self._number))
        environment = {**asking.bare(self.python), **given}
        asked = {"environment": environment, "apps": apps}
        place.with_suffix(".question").write_text(json.dumps({**self._asked, **asked}))
        if not self._answers(f"{self._number}\n"):
            return Loaded("start", Failure("silence", f"no answer in {SECONDS} s", ""))
        answer, said = place.with_suffix(".answer"), place.with_suffix(".said")
        if answer.exists():
            return read(answer.read_text())
        lines = said.read_text(errors="replace").split("\n") if said.exists() else []
        last = next((line for line in reversed(lines) if line.strip()), "nothing was said")
        return Loaded("start", Failure("it ended without an answer", last, ""))

    def _answers(self, question: str) -> bool:
        """Whether the answer came in time; the process is ended where it did not."""
        if self._process is None:
            self._process = subprocess.Popen(
                (self.python, PROBE, self._folder.name),
                cwd=self.source,
                env=asking.bare(self.python),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )
        assert self._process.stdin
        assert self._process.stdout
        with suppress(BrokenPipeError):
            self._process.stdin.write(question)
            self._process.stdin.flush()
        if select.select([self._process.stdout], [], [], SECONDS)[0]:
            self._process.stdout.readline()
            return True
        self._end()
        return False

    def _end(self) -> None:
        """With what the project may have started."""
        if self._process:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate()
            self._process = None


def read(text: str) -> Loaded:
    """The probe's answer."""
    told = json.loads(text)
    error = told["error"]
    known: dict[str, Any] = {
        item.name: _frozen(told[item.name]) for item in fields(Loaded) if item.name in told
    }
    known["error"] = Failure(**error) if error else None
    for kind in ("names", "missed"):
        known[kind] = tuple(name for name in known[kind] if not NOISE.fullmatch(name))
    return Loaded(**known)


def _frozen(value: object) -> object:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
