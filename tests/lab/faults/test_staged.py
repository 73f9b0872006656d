"""A deploy that stops before the switch, and what may happen before it goes on."""

import pytest

from lab import droplets
from tests.lab.faults import changes
from tests.lab.faults.conftest import NewRow
from tests.lab.faults.inside import look, nothing_left, whole
from tests.lab.faults.invariants import check_after, check_answers, check_releases
from tests.lab.faults.visitors import Visitors
from tests.lab.site import Site

pytestmark = pytest.mark.slow

GROUP = "deploy --stop-before switch"


def stage(site: Site) -> str:
    """A new revision, started and asked, that no visitor sees; its short hash."""
    revision = changes.good(site)
    done = site.invoke("deploy", "--stop-before", "switch")
    assert done.code == 0, done
    assert "invoke switch" in done.output, done
    return revision


def test_it_goes_on(site: Site, row: NewRow) -> None:
    told = row(GROUP, "none", "invoke switch makes it live", "A B")
    old = site.release()
    with Visitors(site) as visitors:
        revision = stage(site)
        visitors.wait_for(1)
        assert site.release() == old
        check_releases(visitors.so_far(), old)
        done = site.invoke("switch")
        assert done.code == 0, done
        assert site.release().endswith(revision)
    check_answers(told, visitors.history, old, revision)
    whole(site)
    nothing_left(site)


def test_another_deploy_comes_first(site: Site, row: NewRow) -> None:
    told = row(GROUP, "another deploy comes before the switch", "the other is live", "A B C")
    old = site.release()
    with Visitors(site) as visitors:
        stage(site)
        after = check_after(site, told, visitors)
    check_answers(told, visitors.history, old, after)


def test_the_droplet_reboots_before_the_switch(site: Site, row: NewRow) -> None:
    told = row(GROUP, "the droplet reboots before the switch", "invoke switch goes on", "B C")
    old = site.release()
    revision = stage(site)
    droplets.reboot(site.name)
    told.figures["healthy after the boot in"] = f"{site.wait_until_up(40):.1f} s"
    assert site.release() == old
    assert look(site).units == {old: "active"}
    done = site.invoke("switch")
    assert done.code == 0, done
    assert site.release().endswith(revision)
    whole(site)
    nothing_left(site)
