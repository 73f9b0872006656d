"""kill -9 and Ctrl-C in every phase: one whole release serves, and the next deploy just works."""

import time

import pytest

from tests.lab.faults import changes
from tests.lab.faults.conftest import NewRow
from tests.lab.faults.controller import DEPLOY, ROLLBACK, Controller, kill_release_tool
from tests.lab.faults.inside import LAYOUT, look, nothing_left, wait_until_free, whole
from tests.lab.faults.invariants import check_after, check_answers
from tests.lab.faults.report import Row
from tests.lab.faults.visitors import Visitors
from tests.lab.site import Site

CONTROLLER = "kill -9 of the controller"
TOOL = "kill -9 of the release tool on the droplet"
CTRL_C = "Ctrl-C"
REFUSED = "The project is refused"
LOCK_FILE = "app/requirements.txt"
MODELS = "app/catalog/models.py"
# Only the controller, which asks without a release's id, waits for it, and then finds no migration.
REFUSED_LATER = """
import os
import time

if "RELEASE_ID" not in os.environ:
    time.sleep(4)


class Shelf(models.Model):
    name = models.CharField(max_length=20)
"""
RUNNING = "systemctl list-units --plain --no-legend 'locallibrary-web@*.service'"
UNTIL_TWO_RUN = f"until [ $({RUNNING} | wc -l) = 2 ]; do sleep 0.05; done"
UNTIL_LAID_OUT = f"until ls -d {LAYOUT.venvs}/.[0-9a-f]* >/dev/null 2>&1; do sleep 0.01; done"
slow = pytest.mark.slow
# In these the release tool works; in the others it only waits for the controller.
ON_THE_DROPLET = ("push", "collectstatic", "migrate", "start", "gate", "switch", "bake", "retire")
UNDONE = ("build", "push", "collectstatic", "migrate", "start", "gate", "switch", "bake")


def phases(names: tuple[str, ...], core: str = "") -> list[object]:
    """One case for each phase; all but the one in the core are slow."""
    return [name if name == core else pytest.param(name, marks=slow) for name in names]


@pytest.mark.parametrize("phase", phases(DEPLOY, core="gate"))
def test_the_controller_of_a_deploy_is_killed(site: Site, row: NewRow, phase: str) -> None:
    told = row(CONTROLLER, f"deploy, in {phase}", "kill -9", "A B C D")
    old = site.release()
    with Visitors(site) as visitors:
        struck = changes.good(site)
        with Controller(site, "deploy") as controller:
            controller.until(phase)
            controller.kill()
        after = check_after(site, told, visitors)
    check_answers(told, visitors.history, old, struck, after)


@pytest.mark.parametrize("phase", phases(ROLLBACK))
def test_the_controller_of_a_rollback_is_killed(site: Site, row: NewRow, phase: str) -> None:
    told = row(CONTROLLER, f"rollback, in {phase}", "kill -9", "A B C D")
    old = two_releases(site)
    with Visitors(site) as visitors:
        with Controller(site, "rollback") as controller:
            controller.until(phase, ROLLBACK)
            controller.kill()
        after = check_after(site, told, visitors)
    check_answers(told, visitors.history, *old, after)


@pytest.mark.parametrize("phase", phases(ON_THE_DROPLET, core="bake"))
def test_the_release_tool_is_killed_in_a_deploy(site: Site, row: NewRow, phase: str) -> None:
    told = row(TOOL, f"deploy, in {phase}", "kill -9", "A B C D F")
    old = site.release()
    with Visitors(site) as visitors:
        struck = changes.good(site)
        with Controller(site, "deploy") as controller:
            controller.until(phase)
            kill_and_check_what_is_said(site, controller)
        after = check_after(site, told, visitors)
    check_answers(told, visitors.history, old, struck, after)


@pytest.mark.parametrize("phase", phases(ROLLBACK[1:]))
def test_the_release_tool_is_killed_in_a_rollback(site: Site, row: NewRow, phase: str) -> None:
    told = row(TOOL, f"rollback, in {phase}", "kill -9", "A B C D F")
    old = two_releases(site)
    with Visitors(site) as visitors:
        with Controller(site, "rollback") as controller:
            controller.until(phase, ROLLBACK)
            kill_and_check_what_is_said(site, controller)
        after = check_after(site, told, visitors)
    check_answers(told, visitors.history, *old, after)


@pytest.mark.parametrize("who", [CONTROLLER, TOOL])
def test_one_is_killed_while_packages_are_laid_out(site: Site, row: NewRow, who: str) -> None:
    """They come before the release, while the project is still asked on the controller."""
    told = row(who, "deploy, while packages are laid out", "kill -9", "A B C D F")
    old = site.release()
    with Visitors(site) as visitors:
        # A lock file by another name has packages of its own.
        struck = changes.append(site, LOCK_FILE, f"# {time.time()}\n", "Another lock file")
        with Controller(site, "deploy") as controller:
            site.ask(UNTIL_LAID_OUT)
            if who == TOOL:
                kill_and_check_what_is_said(site, controller)
            else:
                controller.kill()
        after = check_after(site, told, visitors)
    check_answers(told, visitors.history, old, struck, after)


@pytest.mark.parametrize("who", [CONTROLLER, TOOL, CTRL_C, REFUSED])
def test_one_ends_while_a_release_starts_and_the_project_is_asked(
    site: Site, row: NewRow, who: str
) -> None:
    """The release began, and nobody knows yet whether it may be one."""
    told = row(who, "deploy, while the project is asked", "it ends there", "A B C D F")
    # What is expected of the project is what it answered last.
    changes.good(site)
    assert site.invoke("deploy").code == 0
    old = site.release()
    with Visitors(site) as visitors:
        # What was answered once would not be asked again.
        asked_anew = f"{REFUSED_LATER}# {time.time()}\n"
        changes.append(site, MODELS, asked_anew, "Models without a migration")
        with Controller(site, "deploy") as controller:
            controller.until_ended("push")
            site.ask(UNTIL_TWO_RUN)
            assert look(site).half_made, controller.output
            if who == TOOL:
                kill_and_check_what_is_said(site, controller)
            elif who == CONTROLLER:
                controller.kill()
            else:
                if who == CTRL_C:
                    controller.interrupt()
                assert controller.done().code == {CTRL_C: 130, REFUSED: 2}[who]
        wait_until_free(site)
        assert site.release() == old
        if who != TOOL:
            # It is gone without a next deploy.
            nothing_left(site)
        site.git("revert", "--no-edit", "HEAD")
        after = check_after(site, told, visitors)
    check_answers(told, visitors.history, old, after)


def two_releases(site: Site) -> tuple[str, str]:
    """A fresh release is live, and the one before can be gone back to."""
    before = site.release()
    changes.good(site)
    done = site.invoke("deploy")
    assert done.code == 0, done
    return before, site.release()


def kill_and_check_what_is_said(site: Site, controller: Controller) -> None:
    kill_release_tool(site)
    done = controller.done()
    assert done.code == 4, done
    assert "invoke status" in done.output.splitlines()[-1], done


@pytest.mark.parametrize("phase", phases(DEPLOY, core="start"))
def test_ctrl_c_in_a_deploy(site: Site, row: NewRow, phase: str) -> None:
    """Before the release has proved itself Ctrl-C takes it back; after that it only cleans up."""
    told = row(CTRL_C, f"deploy, in {phase}", "Ctrl-C at the controller", "A B C D F")
    old = site.release()
    with Visitors(site) as visitors:
        struck = changes.good(site)
        with Controller(site, "deploy") as controller:
            controller.until(phase)
            begun = time.monotonic()
            controller.interrupt()
            done = controller.done()
        told.figures["backed out in"] = f"{time.monotonic() - begun:.1f} s"
        wait_until_free(site)
        whole(site)
        check_interrupted(told, site, old, struck, done.code, done.output)
        after = check_after(site, told, visitors)
    check_answers(told, visitors.history, old, struck, after)


def check_interrupted(row: Row, site: Site, old: str, struck: str, code: int, output: str) -> None:
    live = site.release()
    if code == 0:
        # It came too late: what was done is whole.
        assert live.endswith(struck), output
        row.figures["too late"] = "the release is live"
    else:
        assert code in (3, 130), output
        assert live == old, output
        assert "nterrupted" in output or "Ctrl-C" in output, output
