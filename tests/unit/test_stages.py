"""The controller's side of a journey, as far as it needs no droplet."""

import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from deploy import conversation, stages
from deploy.console import Console
from deploy.conversation import Request
from deploy.errors import Refused
from deploy.stages import JOURNEYS
from deploy.target import parse
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
