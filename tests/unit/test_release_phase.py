"""The Procfile's release line: run to its end, shown, and never in the way of a Ctrl-C."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.host import audit, release_phase
from deploy.host.context import Context
from deploy.host.errors import BackedOut
from deploy.host.release_phase import run_release_line
from deploy.host.site import Site
from deploy.host.units import Units
from tests.unit.test_health import SITE
from tests.unit.test_release import a_release

# Stands for the manage helper: what follows --run is the program.
HELPER = ("sh", "-c", 'while [ "$1" != --run ]; do shift; done; shift; exec sh "$@"', "helper")
RELEASE = replace(a_release(1), processes={"web": "gunicorn a", "release": "a command"})


class Heard:
    """What was said."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def event(self, **facts: object) -> None:
        if "note" in facts:
            self.notes.append(str(facts["note"]))


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def ctx(tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setattr(Site, "manage_helper", HELPER)
    site = replace(SITE, root=str(tmp_path))
    return Context(site, Units(site), heard, "me", "invoke deploy")


def line(ctx: Context, text: str) -> None:
    program = ctx.layout.release(RELEASE.id) / "bin" / "release"
    program.parent.mkdir(parents=True)
    program.write_text(text)


def test_what_it_says_is_shown(ctx: Context, heard: Heard) -> None:
    line(ctx, "echo loading\nprintf 'a\\303\\244\\n\\n  two' >&2\n")
    run_release_line(ctx, RELEASE)
    assert heard.notes == ["a command", "loading", "aä", "  two"]
    assert not ctx.layout.audit_log.exists()


def test_without_one_nothing_runs(ctx: Context, heard: Heard) -> None:
    run_release_line(ctx, a_release(1))
    assert heard.notes == []


def test_a_failure_stops_the_deploy_with_its_last_lines(ctx: Context) -> None:
    line(ctx, "seq 50\necho no such fixture >&2\nexit 3\n")
    with pytest.raises(BackedOut, match="release line ended with exit code 3") as caught:
        run_release_line(ctx, RELEASE)
    assert caught.value.detail[-2:] == ("50", "no such fixture")
    assert len(caught.value.detail) == 20
    assert audit.fold(audit.read(ctx.layout))[RELEASE.id].bad


@pytest.mark.parametrize("pause", ["0.01", "0.5"])
def test_ctrl_c_ends_it(ctx: Context, pause: str) -> None:
    line(ctx, f"while :; do echo on; sleep {pause}; done\n")
    threading.Timer(0.3, ctx.cancel.set).start()
    begun = time.monotonic()
    with pytest.raises(BackedOut, match="Interrupted"):
        run_release_line(ctx, RELEASE)
    assert time.monotonic() - begun < 30


def test_one_that_never_ends_is_given_up(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_phase, "LIMIT_SECONDS", 0.3)
    line(ctx, "while :; do echo on; sleep 0.01; done\n")
    with pytest.raises(BackedOut, match="did not end within 0 s"):
        run_release_line(ctx, RELEASE)
