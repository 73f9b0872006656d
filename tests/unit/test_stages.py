"""The controller's side of a journey, as far as it needs no droplet."""

import json
import time
import zlib
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deploy import conversation, stages
from deploy.artifact import TREE, Packages
from deploy.console import Console
from deploy.conversation import Request
from deploy.errors import Refused
from deploy.revision import Revision
from deploy.stages import JOURNEYS
from deploy.target import Platform, parse
from tests.unit.test_inventory import FACTS

TARGET = parse("web1", FACTS, "inventory/staging.yml")


def test_an_unknown_phase_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    # There is no repository, so to get any further would fail otherwise.
    request = Request(tmp_path, TARGET, "invoke deploy", stop_before="bake")
    with pytest.raises(Refused) as refused:
        stages.deploy(request, Console(as_json=True))
    assert refused.value.message == (
        "No phase bake to stop before; there are: collectstatic, migrate, start, switch"
    )


def test_only_a_whole_journey_makes_a_release_live() -> None:
    assert [name for name, steps in JOURNEYS.items() if "activate" in steps] == [""]
    # Whoever stops at a phase has gone through those before it.
    stopped = list(JOURNEYS.values())[:-1]
    assert all(longer[: len(shorter)] == shorter for shorter, longer in pairwise(stopped))


@pytest.mark.parametrize("apart", [-61.5, 61.5])
def test_a_clock_that_is_wrong_is_told_before_a_build(apart: float) -> None:
    conversation._check_clock({"now": time.time() + apart / 61.5 * 50}, TARGET)
    with pytest.raises(Refused, match="clocks of this machine and of web1 are 6[12] s apart"):
        conversation._check_clock({"now": time.time() + apart}, TARGET)


class Droplet:
    """Answers `releases`, the newest first."""

    def __init__(self, *states: str) -> None:
        self._states = states

    def call(self, question: str) -> list[dict[str, Any]]:
        assert question == "releases"
        return [{"id": str(n), "state": state} for n, state in enumerate(self._states)]


def test_the_newest_release_that_waits_goes_on() -> None:
    droplet: Any = Droplet("failed", "pushed", "staged", "live")
    assert stages._newest(droplet, TARGET, ("staged", "pushed"))["id"] == "1"
    droplet = Droplet("failed", "live")
    with pytest.raises(Refused, match="No release was pushed to web1 that is not live"):
        stages._newest(droplet, TARGET, ("staged", "pushed"))


class Bringing:
    """A session that sends what it is given in one piece."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def packages(self, manifest: bytes, pack: Any, sent: Any) -> None:
        self.told.append(json.loads(zlib.decompress(manifest)))
        sent(len(b"".join(pack(self.told[-1]["venv"].values()))))


HELD = {"locks": ["a"], "listing": "b", "files": "c"}


class Holding:
    """A session that tells what the droplet holds."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def call(self, question: str) -> dict[str, Any]:
        self.asked.append(question)
        return dict(HELD)


class Building:
    """A build that has its packages, and is whole or refused by now."""

    def __init__(self, folder: Path, refusal: Exception | None = None) -> None:
        (folder / "django.py").write_text("django = 1\n")
        (folder / TREE).write_text(json.dumps({"django.py": "d" * 64}))
        self._packages = Packages(folder / "cache", "new", folder)
        self._refusal = refusal

    def packages(self, droplet: Platform) -> Packages:
        return self._packages

    def check(self) -> None:
        if self._refusal:
            raise self._refusal

    def artifact(self, droplet: Platform, note: Any) -> str:
        return "artifact"


def building(ahead: Any, session: Any, locks: list[str]) -> tuple[dict[str, Any], Console]:
    facts = {"python": "3.13", "machine": "x86_64", "locks": locks}
    console = Console(as_json=True)
    stages.built(facts, console, ahead, session)
    return facts, console


def test_packages_that_the_droplet_lacks_go_there_during_the_build(tmp_path: Path) -> None:
    session = Bringing()
    facts, console = building(Building(tmp_path), session, ["other"])
    (told,) = session.told
    assert (told["lock"], told["venv_of"], told["venv"]) == ("new", "", {"django.py": "d" * 64})
    assert told["sizes"] == {"d" * 64: 11}
    # From here on they need not be told, and what was sent is shown.
    assert facts["locks"] == ["other", "new"]
    assert console.times()[0]["bytes"] > 0
    building(Building(tmp_path), session, ["new"])
    building(Building(tmp_path), None, [])
    assert len(session.told) == 1


def test_what_the_droplet_holds_is_asked_once_and_only_for_a_push(tmp_path: Path) -> None:
    session: Any = Holding()
    facts: dict[str, Any] = {"current": None}
    for _ in range(2):
        stages.with_holdings(facts, session)
    assert session.asked == ["holdings"]
    assert facts == {"current": None, **HELD}


def test_a_refused_build_ends_the_sending_of_its_packages(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="DEBUG is on"):
        building(Building(tmp_path, Refused("DEBUG is on")), Bringing(), [])


class Foreseeing(Building):
    """A build of which an artifact is expected before it is known."""

    def __init__(self, folder: Path, expected: Any, known: Any) -> None:
        super().__init__(folder, known if isinstance(known, Exception) else None)
        self._expected, self._known = expected, known

    def packages(self, droplet: Platform) -> Any:
        return None

    def expected(self, droplet: Platform) -> Any:
        return self._expected

    def artifact(self, droplet: Platform, note: Any) -> Any:
        self.check()
        return self._known


class Beginning:
    """A session that takes what is begun, and keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def begin(self, manifest: bytes, pack: Any, sent: Any) -> dict[str, Any]:
        self.told.append("begin")
        return {"release": {"id": "1"}, "new": True}

    def call(self, name: str) -> dict[str, Any]:
        self.told.append(name)
        return dict(HELD)


def an_artifact(source: Path, digest: str, migrations: tuple[str, ...] = ()) -> Any:
    manifest = {"artifact": digest, "migrations": migrations}
    return SimpleNamespace(
        source=source,
        digest=digest,
        manifest=manifest,
        compressed_manifest=lambda facts: b"told",
        pack=None,
    )


def begun(folder: Path, expected: Any, known: Any) -> tuple[list[str], Any, Any]:
    session: Any = Beginning()
    ahead: Any = Foreseeing(folder, expected, known)
    facts = {"python": "3.13", "machine": "x86_64", "config": "c", "current": LIVE}
    revision = Revision(folder, "1" * 40, "2" * 40, "app", "", "")
    console = Console(as_json=True)
    try:
        artifact, release = stages._begun(TARGET, revision, session, ahead, facts, console)
    except Refused:
        return session.told, None, None
    return session.told, artifact, release


LIVE = {"id": "0", "artifact": "live", "config": "c"}


def test_a_release_starts_while_the_project_is_asked(tmp_path: Path) -> None:
    expected, known = an_artifact(tmp_path, "a"), an_artifact(tmp_path, "a")
    told, artifact, release = begun(tmp_path, expected, known)
    assert told == ["holdings", "begin"]
    assert (artifact, release) == (known, {"id": "1"})


@pytest.mark.parametrize("known", [("b", ()), ("a", ("catalog.0002_more",))])
def test_another_answer_takes_it_away(tmp_path: Path, known: Any) -> None:
    other = an_artifact(tmp_path, *known)
    told, artifact, release = begun(tmp_path, an_artifact(tmp_path, "a"), other)
    assert told == ["holdings", "begin", "withdraw"]
    assert (artifact, release) == (other, None)


def test_nothing_of_it_is_left_where_the_project_is_refused(tmp_path: Path) -> None:
    told, *_ = begun(tmp_path, an_artifact(tmp_path, "a"), Refused("DEBUG is on"))
    assert told == ["holdings", "begin", "withdraw"]


def test_nothing_is_begun_where_it_would_change_nothing(tmp_path: Path) -> None:
    expected = an_artifact(tmp_path, "live")
    assert begun(tmp_path, expected, expected) == ([], expected, None)


def test_hooks_come_before_anything_is_brought(tmp_path: Path) -> None:
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks/after-switch").touch()
    artifact = an_artifact(tmp_path, "a")
    assert begun(tmp_path, artifact, artifact)[0] == ["holdings", "begin"]
    (tmp_path / "hooks/before-migrate").touch()
    assert begun(tmp_path, artifact, artifact) == ([], artifact, None)
