"""Deploys and rollbacks that go well: visitors notice nothing."""

import os
import re
import time
from datetime import datetime

import pytest

from tests.lab.faults import changes
from tests.lab.faults.changes import URLS
from tests.lab.faults.conftest import NewRow
from tests.lab.faults.controller import Controller
from tests.lab.faults.inside import look, nothing_left, rows_kept, whole
from tests.lab.faults.invariants import check_answers
from tests.lab.faults.loader import RATE
from tests.lab.faults.report import Row
from tests.lab.faults.visitors import Visitors, between, slowest
from tests.lab.site import Site

GROUP = "Nothing goes wrong"
# Of the slowest answer without deploys; and what any of two busy shared cores may cost anyway.
TIMES_SLOWER = 3
NOISE_SECONDS = 1.0
WARM_UP_SECONDS = 2
# Processes that want a core, per core.
BUSY = 2

SLOW_PAGE = """
import time  # noqa: E402

from django.http import HttpResponse  # noqa: E402


def slow(request):
    time.sleep(10)
    return HttpResponse("slept")


urlpatterns.insert(0, path("slow", slow))
"""
STYLE = "app/catalog/static/catalog/style.css"


def deploy(site: Site) -> str:
    """Deploy a new good revision; returns its release."""
    revision = changes.good(site)
    done = site.invoke("deploy")
    assert done.code == 0, done
    release = site.release()
    assert release.endswith(revision)
    return release


def roll_back(site: Site) -> str:
    done = site.invoke("rollback")
    assert done.code == 0, done
    return site.release()


def quiet_seconds(visitors: Visitors, seconds: float) -> tuple[float, float]:
    """Let visitors come with nobody deploying; from when to when."""
    visitors.wait_for(WARM_UP_SECONDS)
    begun = time.time()
    visitors.wait_for(seconds)
    return begun, time.time()


def check_no_pause(row: Row, visitors: Visitors, quiet: tuple[float, float]) -> None:
    """Not judged where the machine has more to do than visitors and deploys: it measures that."""
    calm = slowest(between(visitors.history, *quiet))
    row.figures["slowest without deploys"] = f"{calm:.2f} s"
    if os.getloadavg()[0] > BUSY * (os.cpu_count() or 1):
        row.figures["pause"] = "not judged, the machine was busy with something else"
        return
    worst = slowest(between(visitors.history, quiet[0], time.time()))
    assert worst <= max(TIMES_SLOWER * calm, NOISE_SECONDS)


def test_two_deploys_and_a_rollback(site: Site, row: NewRow) -> None:
    told = row(GROUP, "none", "two deploys and a rollback", "A B D")
    old = site.release()
    with Visitors(site, rate=RATE) as visitors:
        quiet = quiet_seconds(visitors, 6)
        first, second = deploy(site), deploy(site)
        assert roll_back(site) == first
        visitors.wait_for(0.5)
    check_answers(told, visitors.history, old, first, second)
    check_no_pause(told, visitors, quiet)
    whole(site)
    nothing_left(site)
    told.figures["rows kept"] = str(rows_kept(site, visitors.history))


@pytest.mark.slow
def test_ten_deploys_and_ten_rollbacks(site: Site, row: NewRow) -> None:
    told = row(GROUP, "none", "ten times: a deploy, and the rollback of it", "A B D")
    old = site.release()
    seen = [old]
    with Visitors(site, rate=RATE) as visitors:
        quiet = quiet_seconds(visitors, 30)
        for _ in range(10):
            seen.append(deploy(site))
            assert roll_back(site) == old
        visitors.wait_for(0.5)
    check_answers(told, visitors.history, *seen)
    check_no_pause(told, visitors, quiet)
    assert len(set(seen)) == 11
    whole(site)
    nothing_left(site)
    told.figures["rows kept"] = str(rows_kept(site, visitors.history))


@pytest.mark.slow
def test_long_requests_finish_on_the_release_that_took_them(site: Site, row: NewRow) -> None:
    told = row(GROUP, "requests of 10 s are in flight", "a deploy, and the rollback of it", "A B D")
    changes.append(site, URLS, SLOW_PAGE, "A page that takes 10 s")
    assert site.invoke("deploy").code == 0
    old, before = site.release(), look(site)
    with Visitors(site) as visitors, Visitors(site, path="/slow", rate=0.4) as patient:
        patient.wait_for(4)
        new = deploy(site)
        assert roll_back(site) == old
    check_answers(told, visitors.history, old, new)
    check_answers(told, patient.history, old, new)
    switches = [
        datetime.fromisoformat(entry["at"]).timestamp()
        for entry in look(site).entries[len(before.entries) :]
        if entry["event"] == "switched"
    ]
    assert len(switches) == 2
    for moment, release in zip(switches, (old, new), strict=True):
        taken = [one for one in patient.history if moment - 9 < one.at < moment - 0.5]
        assert taken
        assert {one.release for one in taken} == {release}
    told.figures["in flight at a switch"] = str(len(taken))
    whole(site)
    nothing_left(site)
    rows_kept(site, visitors.history)


@pytest.mark.slow
def test_a_page_finds_its_assets_after_the_switch(site: Site, row: NewRow) -> None:
    told = row(
        GROUP,
        "a page was served just before the switch",
        "a deploy that changes the style sheet, and the rollback of it; the hashed files of the "
        "page are asked for after each",
        "A B",
    )
    old = site.release()

    def assets() -> list[str]:
        return sorted(set(re.findall(r'"(/static/[^"?#]+)', site.get().body)))

    with Visitors(site) as visitors:
        old_assets = assets()
        changes.append(site, STYLE, f"\n/* {time.time()} */\n", "Another style")
        assert site.invoke("deploy").code == 0
        new, new_assets = site.release(), assets()
        assert old_assets
        assert new_assets != old_assets
        assert [site.get(asset).status for asset in old_assets] == [200] * len(old_assets)
        roll_back(site)
        assert [site.get(asset).status for asset in new_assets] == [200] * len(new_assets)
        assert assets() == old_assets
    check_answers(told, visitors.history, old, new)
    whole(site)
    nothing_left(site)


@pytest.mark.slow
def test_nothing_changed_is_said_and_nothing_is_done(site: Site, row: NewRow) -> None:
    told = row(GROUP, "none", "the same revision is deployed again", "A B")
    release = deploy(site)
    before = look(site)
    with Visitors(site) as visitors, Controller(site, "deploy") as controller:
        done = controller.done()
    assert done.code == 0, done
    assert "Nothing changed" in done.output, done
    check_answers(told, visitors.history, release)
    assert look(site) == before
