"""The connection to the controller is cut: the droplet goes on or backs out by itself."""

import os
import re
import time

import pytest

from lab import faults
from tests.lab.faults import changes
from tests.lab.faults.conftest import NewRow
from tests.lab.faults.controller import Controller
from tests.lab.faults.inside import LAYOUT, look, wait_until_free, whole
from tests.lab.faults.invariants import check_after, check_answers, check_releases, check_told
from tests.lab.faults.network import ssh_cut
from tests.lab.faults.visitors import Visitors, between, lost
from tests.lab.site import Site

pytestmark = pytest.mark.slow

GROUP = "The connection is cut"
# RELIABILITY, 3; the controller's own patience is 30 s, and the machine is shared.
TOLD_SECONDS = 45
# Random bytes do not shrink; as files of 2 MB, so that some arrive whole before the cut.
FILES, FILE_BYTES = 30, 2_000_000
PHASES = ("connect", "push", "start", "switch", "bake", "retire")


def big_revision(site: Site) -> str:
    for number in range(FILES):
        (site.clone / f"app/big{number}.bin").write_bytes(os.urandom(FILE_BYTES))
    return changes.good(site)


def until_half_arrived(site: Site) -> None:
    """Until some of the files are on the droplet, and the rest is under way."""
    wait = f"while [ $(find {LAYOUT.objects}/incoming -size +1000k | wc -l) -lt 4 ]; do :; done"
    done = site.ssh(f"timeout 60 sh -c '{wait}'")
    assert done.code == 0, done


def sent(output: str) -> float:
    """MB that the push sent."""
    found = re.search(r"push\s+([\d.]+) (kB|MB)", output)
    assert found, output
    return float(found[1]) / (1000 if found[2] == "kB" else 1)


@pytest.mark.parametrize("cut", ["ssh", "wire"])
def test_the_upload_is_cut(site: Site, row: NewRow, cut: str) -> None:
    """With the wire visitors are cut off too; they are not judged while it is."""
    what = "SSH packets are dropped" if cut == "ssh" else "the droplet's wire is pulled"
    fault = f"in the middle of the upload, {what}"
    told = row(GROUP, fault, "the next push sends the rest only", "A B C F")
    old, good = site.release(), site.git("rev-parse", "HEAD")
    with Visitors(site) as visitors:
        struck = big_revision(site)
        with Controller(site, "deploy") as controller:
            controller.until("push")
            until_half_arrived(site)
            begun, begun_at = time.monotonic(), time.time()
            with ssh_cut(site) if cut == "ssh" else faults.cut_off(site.name):
                done = controller.done()
            told.figures["told after"] = f"{time.monotonic() - begun:.0f} s"
            ended_at = time.time() + 5
        check_told(done, codes=(2, 3, 4))
        assert time.monotonic() - begun < TOLD_SECONDS
        wait_until_free(site)
        whole(site)
        assert look(site).half_made == []
        with Controller(site, "deploy") as again:
            done = again.done()
        assert done.code == 0, done
        told.figures["sent again"] = f"{sent(done.output):.0f} of {FILES * FILE_BYTES / 1e6:.0f} MB"
        assert sent(done.output) < FILES * FILE_BYTES / 1e6
        site.git("reset", "--quiet", "--hard", good)
        after = check_after(site, told, visitors)
    history = visitors.history
    if cut == "wire":
        apart = between(history, begun_at - 1, ended_at)
        history = [one for one in history if one not in apart]
        check_releases(history, old, struck, after)
    check_answers(told, history, old, struck, after)
    assert not lost(history)


@pytest.mark.parametrize("phase", PHASES)
def test_the_connection_is_cut(site: Site, row: NewRow, phase: str) -> None:
    told = row(GROUP, f"deploy, in {phase}", "SSH packets are dropped", "A B C F")
    old = site.release()
    with Visitors(site) as visitors:
        struck = changes.good(site)
        with Controller(site, "deploy") as controller:
            controller.until(phase)
            begun = time.monotonic()
            with ssh_cut(site):
                done = controller.done()
            told.figures["told after"] = f"{time.monotonic() - begun:.0f} s"
        check_told(done, codes=(2, 4))
        assert time.monotonic() - begun < TOLD_SECONDS
        after = check_after(site, told, visitors)
    check_answers(told, visitors.history, old, struck, after)
