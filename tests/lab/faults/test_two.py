"""Two deploys at once: one wins, the other one knows who and since when."""

import re
import time

import pytest

from tests.lab.faults import changes
from tests.lab.faults.conftest import NewRow
from tests.lab.faults.controller import Controller
from tests.lab.faults.inside import look, nothing_left, whole
from tests.lab.faults.invariants import check_answers, check_told
from tests.lab.faults.visitors import Visitors
from tests.lab.site import Site

GROUP = "Two at once"
# Demanded are 2 s from asking the droplet; Python and the connection come before that, on a
# machine that is busy with the first deploy.
REFUSED_SECONDS = 8


def test_the_second_deploy_is_told_who_holds_the_lock(site: Site, row: NewRow) -> None:
    told = row(GROUP, "a second deploy", "it names the holder; the first one goes on", "A B F")
    old = site.release()
    with Visitors(site) as visitors:
        revision = changes.good(site)
        with Controller(site, "deploy") as first:
            first.until_ended("connect")
            begun = time.monotonic()
            second = site.invoke("rollback")
            told.figures["refused after"] = f"{time.monotonic() - begun:.1f} s"
            check_told(second, "invoke deploy", "since", "--wait", codes=(2,))
            assert re.search(r"\w+@\w+ has been running", second.output), second
            assert time.monotonic() - begun < REFUSED_SECONDS
            done = first.done()
        assert done.code == 0, done
        assert site.release().endswith(revision)
    check_answers(told, visitors.history, old, revision)
    whole(site)
    nothing_left(site)


@pytest.mark.slow
def test_with_wait_the_second_one_waits(site: Site, row: NewRow) -> None:
    told = row(GROUP, "a second deploy, with --wait", "both are done, one after the other", "A B")
    old = site.release()
    with Visitors(site) as visitors:
        one = changes.good(site)
        with Controller(site, "deploy") as first:
            first.until_ended("build")
            other = changes.good(site)
            with Controller(site, "deploy", "--wait") as second:
                second.until_said("waiting")
                assert first.process.poll() is None
                assert first.done().code == 0
                done = second.done()
        assert done.code == 0, done
        assert site.release().endswith(other)
    check_answers(told, visitors.history, old, one, other)
    whole(site)
    nothing_left(site)


@pytest.mark.slow
def test_three_at_the_same_moment(site: Site, row: NewRow) -> None:
    told = row(GROUP, "three deploys started at the same moment", "one wins, two are told", "A B F")
    old, before = site.release(), look(site)
    with Visitors(site) as visitors:
        revision = changes.good(site)
        with (
            Controller(site, "deploy") as first,
            Controller(site, "deploy") as second,
            Controller(site, "deploy") as third,
        ):
            ended = [controller.done() for controller in (first, second, third)]
        for done in ended:
            if done.code != 0:
                check_told(done, "--wait", codes=(2,))
        assert sorted(done.code for done in ended) == [0, 2, 2], ended
    check_answers(told, visitors.history, old, revision)
    after = look(site)
    pushed = [entry for entry in after.entries[len(before.log) :] if entry["event"] == "pushed"]
    assert len(pushed) == 1
    whole(site)
    nothing_left(site)
