"""The droplet reboots, or loses its power, in a phase of a deploy: it comes back by itself."""

import time
from collections.abc import Callable

import pytest

from lab import droplets
from tests.lab.faults import changes
from tests.lab.faults.conftest import NewRow
from tests.lab.faults.controller import Controller
from tests.lab.faults.inside import look, rows_kept, whole
from tests.lab.faults.invariants import check_after, check_releases, check_told
from tests.lab.faults.visitors import Visitors, between, describe, lost
from tests.lab.site import Site

pytestmark = pytest.mark.slow

PHASES = ("push", "migrate", "start", "gate", "switch", "bake", "retire", "prune")
# RELIABILITY, 21, is 15 s from the boot; the machine is shared.
HEALTHY_SECONDS = 40


def reboot(site: Site) -> None:
    """Ask its systemd, as `reboot` does, and return when it is up again."""
    droplets.reboot(site.name)


def cut_power(site: Site) -> None:
    droplets.kill(site.name)
    droplets.up(site.name)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("fault", [reboot, cut_power], ids=["reboot", "power cut"])
def test_it_comes_back(site: Site, row: NewRow, fault: Callable[[Site], None], phase: str) -> None:
    name = "Reboot of the droplet" if fault is reboot else "Power cut of the droplet"
    told = row(name, f"deploy, in {phase}", "healthy again by itself", "B C D F")
    old, good = site.release(), site.git("rev-parse", "HEAD")
    with Visitors(site) as visitors:
        struck = changes.good(site)
        with Controller(site, "deploy") as controller:
            controller.until(phase)
            begun, begun_at = time.monotonic(), time.time()
            fault(site)
            booted = time.monotonic()
            site.wait_until_up(HEALTHY_SECONDS)
            ended_at = time.time()
            told.figures["down for"] = f"{time.monotonic() - begun:.1f} s"
            told.figures["healthy after the boot in"] = f"{time.monotonic() - booted:.1f} s"
            done = controller.done()
        found = look(site)
        # A reboot asks everything to stop first: the tool may back out in order. The last phases
        # are so short that it may be done; what it has called live is live after a power cut.
        if done.code == 0:
            assert found.current.endswith(struck), done
        else:
            check_told(done, codes=(3, 4) if fault is reboot else (4,))
        assert found.current in found.sealed, found
        assert found.current == old or found.current.endswith(struck)
        assert found.units == {found.current: "active"}
        assert site.release() == found.current
        whole(site)
        told.figures["rows kept"] = str(rows_kept(site, visitors.so_far()))
        site.git("reset", "--quiet", "--hard", good)
        after = check_after(site, told, visitors)
    # Who came while it was down was not answered; everybody else was, by a whole release.
    apart = between(visitors.history, begun_at - 1, ended_at + 1)
    hurt = [one for one in lost(visitors.history) if one not in apart]
    assert not hurt, describe(hurt)
    check_releases(visitors.history, old, struck, after)


def test_the_power_goes_when_nothing_is_deployed(site: Site, row: NewRow) -> None:
    told = row("Power cut of the droplet", "no deploy", "healthy again by itself", "B D")
    old = site.release()
    with Visitors(site) as visitors:
        visitors.wait_for(3)
        cut_power(site)
        told.figures["healthy after the boot in"] = f"{site.wait_until_up(HEALTHY_SECONDS):.1f} s"
    check_releases(visitors.history, old)
    whole(site)
    told.figures["rows kept"] = str(rows_kept(site, visitors.history))
