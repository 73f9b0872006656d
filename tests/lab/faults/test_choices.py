"""Rollbacks that a person may ask for at three in the morning."""

import pytest

from tests.lab.faults import changes
from tests.lab.faults.changes import WSGI
from tests.lab.faults.conftest import NewRow
from tests.lab.faults.inside import APP, look, nothing_left, whole
from tests.lab.faults.invariants import check_answers, check_told
from tests.lab.faults.test_core import deploy, roll_back
from tests.lab.faults.test_releases import ON_THE_DROPLET, RAISE
from tests.lab.faults.visitors import Visitors
from tests.lab.site import Site

pytestmark = pytest.mark.slow

GROUP = "Rollbacks"
REFUSED = "refused, nothing is done"


def test_twice(site: Site, row: NewRow) -> None:
    told = row(GROUP, "rollback, and rollback again", "each goes one live release back", "A B C")
    old = site.release()
    with Visitors(site) as visitors:
        first, second, third = deploy(site), deploy(site), deploy(site)
        assert roll_back(site) == second
        assert roll_back(site) == first
        final = deploy(site)
        # Those that were rolled back are not gone back to.
        assert roll_back(site) == first
    check_answers(told, visitors.history, old, first, second, third, final)
    whole(site)
    nothing_left(site)


def test_to_a_release_that_failed(site: Site, row: NewRow) -> None:
    told = row(GROUP, "rollback to a release that failed its gate", REFUSED, "A B F")
    old, good = site.release(), site.git("rev-parse", "HEAD")
    changes.append(site, WSGI, ON_THE_DROPLET + RAISE, "Broken")
    assert site.invoke("deploy").code == 3
    failed = look(site).entries[-1]["release"]
    site.git("reset", "--quiet", "--hard", good)
    before = look(site)
    with Visitors(site) as visitors:
        done = site.invoke("rollback", failed)
        check_told(done, failed, codes=(2,))
        assert site.release() == old
    check_answers(told, visitors.history, old)
    assert look(site).log == before.log
    nothing_left(site)


def test_to_a_release_that_was_pruned(site: Site, row: NewRow) -> None:
    told = row(GROUP, "rollback to a release that was pruned", REFUSED, "A B F")
    while not (pruned := [e["release"] for e in look(site).entries if e["event"] == "pruned"]):
        deploy(site)
    old, before = site.release(), look(site)
    with Visitors(site) as visitors:
        done = site.invoke("rollback", pruned[-1])
        check_told(done, pruned[-1], "invoke releases", codes=(2,))
    check_answers(told, visitors.history, old)
    assert look(site).log == before.log
    assert pruned[-1] not in before.releases


def test_without_a_controller(site: Site, row: NewRow) -> None:
    told = row(GROUP, "rollback on the droplet, the controller is away", "the same", "A B C")
    old, new = site.release(), deploy(site)
    before = look(site)
    with Visitors(site) as visitors:
        done = site.ssh(f"slipway {APP} rollback")
        assert done.code == 0, done
        assert site.release() == old
    check_answers(told, visitors.history, old, new)
    since = look(site).entries[len(before.log) :]
    assert [entry["event"] for entry in since] == ["switched", "live"]
    assert since[0]["takes_back"].endswith(new)
    whole(site)
    nothing_left(site)
