"""The droplet's disk is full, has no inodes left, or cannot be written."""

import json
import re
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab.faults import changes
from tests.lab.faults.conftest import NewRow
from tests.lab.faults.inside import APP, LAYOUT, look, whole
from tests.lab.faults.invariants import check_after, check_answers, check_told
from tests.lab.faults.report import Row
from tests.lab.faults.test_network import big_revision
from tests.lab.faults.visitors import Visitors
from tests.lab.site import Site

pytestmark = pytest.mark.slow

GROUP = "The disk"
ROOT = LAYOUT.root
SMALL = "/mnt/small"
FACTS = f"/etc/slipway/{APP}.json"
BALLAST = ROOT / "ballast"
FREE_MB = 100
# Fills the disk the moment that something happens; started beforehand, so that it is quick.
FILL = f"""
import glob, os, time
last = time.monotonic() + 60
while not {{happened}}:
    if time.monotonic() > last:
        raise SystemExit("it did not happen")
    time.sleep(0.0005)
disk = os.statvfs("{ROOT}")
with open("{BALLAST}", "wb") as ballast:
    for size in (1 << 20, 1 << 12):
        try:
            while True:
                os.posix_fallocate(ballast.fileno(), os.fstat(ballast.fileno()).st_size, size)
        except OSError:
            pass
"""
ARRIVING = f'glob.glob("{LAYOUT.objects}/incoming/*")'
UNPACKING = f'len(glob.glob("{LAYOUT.releases}/*")) > {{releases}}'
SEALED = f'len(glob.glob("{LAYOUT.releases}/*/release.json")) > {{releases}}'


@contextmanager
def small_disk(site: Site) -> Iterator[None]:
    """All of the site lives on a file system of its own with FREE_MB left, and is real in that.

    After it the site is as it was before: what is deployed meanwhile is gone.
    """
    before = site.release()
    unit = f"/usr/local/sbin/{APP}-unit"
    used = int(site.ask(f"du -sm {ROOT} | cut -f 1"))
    # The reserve that is kept free is for a disk of a real size.
    facts = json.loads(site.ask(f"cat {FACTS}"))
    few = shlex.quote(json.dumps({**facts, "min_free_mb": 10}))
    site.ask(
        f"set -e; cp -p {FACTS} {FACTS}.kept; echo {few} > {FACTS}; {unit} stop {before}; "
        f"mkdir -p {SMALL}; "
        f"mount -t tmpfs -o size={used + FREE_MB}m,mode=755 tmpfs {SMALL}; "
        f"cp -a {ROOT}/. {SMALL}/; "
        f"mount --bind {SMALL} {ROOT}; {unit} start {before}"
    )
    try:
        site.wait_until_up(20)
        yield
    finally:
        live = look(site).current
        site.ask(
            f"{unit} stop {live}; umount --lazy {ROOT}; umount --lazy {SMALL}; "
            f"mv {FACTS}.kept {FACTS}; {unit} start {before}; "
            # The config vars of what is gone lie on the other disk.
            f"cd /etc/{APP}/releases; for file in *; do id=${{file%.env}}; "
            f"[ -d {LAYOUT.releases}/$id ] || {unit} forget $id; done"
        )
        site.wait_until_up(20)


@contextmanager
def filled_when(site: Site, happened: str) -> Iterator[None]:
    """The disk is full from the moment that it happened, to the end of the block."""
    script = shlex.quote(FILL.format(happened=happened))
    site.ask(f"systemd-run --quiet --collect --unit=faults-fill python3 -c {script}")
    try:
        yield
    finally:
        site.ssh(f"systemctl stop faults-fill; rm -f {BALLAST}")


def disk_row(row: NewRow, fault: str) -> Row:
    return row(GROUP, fault, "a deploy; then there is room again, and another one", "A B C F")


def test_it_would_not_fit(site: Site, row: NewRow) -> None:
    told = disk_row(row, "too full for the release")
    good = site.git("rev-parse", "HEAD")
    with small_disk(site):
        old, before = site.release(), look(site)
        with Visitors(site) as visitors:
            big_revision(site)
            done = site.invoke("deploy")
            check_told(done, "MB free", codes=(2,))
            assert look(site).releases == before.releases
            assert look(site).incoming == []
            site.git("reset", "--quiet", "--hard", good)
            after = check_after(site, told, visitors)
        check_answers(told, visitors.history, old, after)


@pytest.mark.parametrize(
    ("when", "happened"),
    [("the upload", ARRIVING), ("unpacking", UNPACKING), ("migrate and after it", SEALED)],
    ids=["upload", "unpack", "migrate"],
)
def test_it_fills_up(site: Site, row: NewRow, when: str, happened: str) -> None:
    told = disk_row(row, f"full in {when}")
    good = site.git("rev-parse", "HEAD")
    with small_disk(site):
        old, before = site.release(), look(site)
        with Visitors(site) as visitors:
            # Enough files for bytecode and folders that need room of their own.
            for number in range(40):
                text = f"VALUE = {list(range(3000))}\n"
                (site.clone / f"app/catalog/data{number}.py").write_text(text)
            struck = changes.good(site)
            with filled_when(site, happened.format(releases=len(before.releases))):
                begun = time.monotonic()
                done = site.invoke("deploy")
                told.figures["told after"] = f"{time.monotonic() - begun:.0f} s"
            if done.code == 0:
                told.figures["the deploy"] = "succeeded all the same"
            else:
                check_told(done, codes=(2, 3, 4))
                assert re.search(r"disk|space", done.output), done
                assert site.release() == old
            whole(site)
            site.git("reset", "--quiet", "--hard", good)
            after = check_after(site, told, visitors)
        check_answers(told, visitors.history, old, struck, after)


def test_no_inodes_are_left(site: Site, row: NewRow) -> None:
    told = disk_row(row, "no inodes left")
    with small_disk(site):
        old = site.release()
        with Visitors(site) as visitors:
            used = int(site.ask(f"df --output=iused {ROOT} | tail -n 1"))
            site.ask(f"mount -o remount,nr_inodes={used + 100} {SMALL}")
            good = site.git("rev-parse", "HEAD")
            changes.good(site)
            done = site.invoke("deploy")
            check_told(done, "inodes", codes=(2,))
            site.ask(f"mount -o remount,nr_inodes={used + 20000} {SMALL}")
            site.git("reset", "--quiet", "--hard", good)
            after = check_after(site, told, visitors)
        check_answers(told, visitors.history, old, after)


def test_it_cannot_be_written(site: Site, row: NewRow) -> None:
    told = disk_row(row, "read-only")
    with small_disk(site):
        old = site.release()
        with Visitors(site) as visitors:
            good = site.git("rev-parse", "HEAD")
            changes.good(site)
            site.ask(f"mount -o remount,ro,bind {ROOT}")
            done = site.invoke("deploy")
            site.ask(f"mount -o remount,rw,bind {ROOT}")
            check_told(done, codes=(2, 3, 4))
            assert re.search(r"[Rr]ead-only", done.output), done
            site.git("reset", "--quiet", "--hard", good)
            after = check_after(site, told, visitors)
        check_answers(told, visitors.history, old, after)
