"""The README's daily commands, run exactly as they are printed, in its order."""

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.lab.faults import changes
from tests.lab.inventories import with_own_facts
from tests.lab.roles import play
from tests.lab.site import ROOT, Site
from tests.lab.terminal import CTRL_C, CTRL_D, Terminal

ENV = "daily"
ROW = re.compile(r"^\| (`.*?`) \|", re.MULTILINE)
# They take long, and have tests of their own that run each time.
SLOW = (
    *("ansible-playbook", "invoke audit", "invoke patch", "invoke doctor --drift", "invoke plan"),
    *("invoke deploy --plan-file", "invoke backup.verify", "invoke migrate.rehearse"),
)
# They would take away the droplet that somebody works with, or need other droplets, another
# PostgreSQL, a backup of that day, or an hour; they have tests of their own.
ELSEWHERE = ("invoke lab.", "invoke rebuild", "invoke db.", "invoke restore", "invoke bench")
MISSING = "/nobody-wrote-this-page"
# What is typed where a command asks, or would go on for ever.
TYPED: dict[str, list[tuple[str, str | bytes]]] = {
    "invoke manage -- createsuperuser": [
        ("Username", "readme\r"),
        ("mail", "readme@example.org\r"),
        ("Password", "correct horse battery\r"),
        ("again", "correct horse battery\r"),
    ],
    "invoke shell": [(">>> ", CTRL_D)],
    "invoke dbshell": [("=> ", CTRL_D)],
    "invoke logs --follow": [(f"Not Found: {MISSING}", CTRL_C)],
    # Only where something is to be installed, so it is typed ahead.
    "invoke patch": [("Read|package|Do this", "y\r")],
}


def printed() -> list[str]:
    """The commands in the first column of the README's table."""
    section = (ROOT / "README.md").read_text().split("## Day to day")[1].split("\n## ")[0]
    spans = (span for row in ROW.findall(section) for span in re.findall(r"`([^`]+)`", row))
    return [span for span in spans if not span.startswith(ELSEWHERE) and not span.isdecimal()]


def parameters() -> Iterator[object]:
    for command in printed():
        marks = [pytest.mark.slow] if command.startswith(SLOW) else []
        yield pytest.param(command, marks=marks, id=command)


@pytest.fixture(scope="module")
def site(debian13: Site) -> Iterator[Site]:
    """The droplet as an environment with facts of its own; as before afterwards."""
    before = debian13.git("rev-parse", "HEAD")
    assert debian13.invoke("deploy").code == 0
    debian13.commit(with_own_facts(debian13, ENV), ENV)
    changes.good(debian13)
    # Published after the image was made: doctor and audit would ask for just this.
    if debian13.json("status")["security_updates"]:
        done = debian13.invoke("patch", "--yes")
        assert done.code == 0, done
    yield debian13
    debian13.git("reset", "--quiet", "--hard", before)
    done = play(debian13, ["app"])
    assert done.code == 0, done
    assert debian13.invoke("deploy").code == 0


@contextmanager
def asking(site: Site) -> Iterator[None]:
    """Somebody asks for a page that is not there, which the app logs, every second."""
    ended = threading.Event()

    def ask() -> None:
        while not ended.wait(1):
            with suppress(OSError):
                site.get(MISSING)

    visitor = threading.Thread(target=ask)
    visitor.start()
    try:
        yield
    finally:
        ended.set()
        visitor.join()


def test_the_table_is_found() -> None:
    assert "invoke deploy" in printed()
    assert len(printed()) > 25


@pytest.mark.parametrize("command", list(parameters()))
def test_it_does_what_is_printed(site: Site, command: str) -> None:
    if command == "invoke deploy --stop-before switch":
        changes.good(site)
    if command == "invoke migrate.rehearse":
        # What rows before it wrote to the inventory.
        site.commit({}, "Scaled")
    # In place of the local droplet, which somebody may work with.
    here = f"export SLIPWAY_ENV={ENV} ANSIBLE_INVENTORY=inventory/{ENV}.yml BROWSER=true"
    with Terminal(site.clone, "/bin/sh", "-c", f"{here}; {command}") as terminal, asking(site):
        for waited_for, typed in TYPED.get(command, ()):
            terminal.wait_for(waited_for, 180)
            terminal.type(typed)
        code = terminal.code(300)
    # Ctrl-C ends the shell around it as well.
    interrupted = any(typed == CTRL_C for _, typed in TYPED.get(command, ()))
    assert code in ((0, 130, -signal.SIGINT) if interrupted else (0,)), (
        f"{command}\n{terminal.shown}"
    )
    assert "Traceback" not in terminal.shown
