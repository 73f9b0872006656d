"""Releases on a real droplet: deploy, another revision, rollback, a broken one, a reboot."""

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.host.layout import RELEASE_ID, Layout
from tests.lab.site import ROOT, Site, run

LAYOUT = Layout(Path("/srv/locallibrary"))
WSGI = "app/locallibrary/wsgi.py"

RAISES = "raise RuntimeError('broken on purpose')\n"

# Healthy when asked for its health, broken for everybody else.
EVERY_PAGE_500 = """
_healthy = application


def application(environ, start_response):
    if environ["PATH_INFO"] == "/readyz":
        return _healthy(environ, start_response)
    start_response("500 Internal Server Error", [("Content-Type", "text/plain")])
    return [b"broken on purpose"]
"""

SLOW_START = "import time\n\ntime.sleep(8)\n"


@pytest.fixture
def as_before(site: Site) -> Iterator[None]:
    """The clone's revision is put back after the test."""
    revision = site.git("rev-parse", "HEAD")
    yield
    site.git("reset", "--quiet", "--hard", revision)
    site.git("clean", "--quiet", "--force", "-d")


def new_revision(site: Site, text: str) -> str:
    """Commit a change of the application; returns the revision's short hash."""
    return site.commit({"app/CHANGES.txt": f"{text}\n"}, text)


def test_a_deploy_puts_the_site_online(site: Site) -> None:
    answer = site.get()
    assert answer.status == 200
    assert RELEASE_ID.fullmatch(answer.headers["X-Release"])
    assert answer.headers["X-Release"].endswith(site.git("rev-parse", "--short=7", "HEAD"))
    assert "LocalLibrary" in answer.body


def test_static_files_are_hashed_and_kept_for_ever(site: Site) -> None:
    found = re.search(r'href="(/static/[^"]+\.css)"', site.get().body)
    assert found
    answer = site.get(found[1])
    assert answer.status == 200
    assert "immutable" in answer.headers["Cache-Control"]


def test_a_deploy_of_the_same_revision_says_that_nothing_changed(site: Site) -> None:
    before = site.release()
    done = site.invoke("deploy")
    assert done.code == 0, done
    assert "othing changed" in done.output, done
    assert site.release() == before


def test_a_second_revision_and_the_way_back(site: Site, as_before: None) -> None:
    first = site.release()
    revision = new_revision(site, "A second revision")
    done = site.invoke("deploy")
    assert done.code == 0, done
    second = site.release()
    assert second != first
    assert second.endswith(revision)
    # The source is laid out once more for the next one.
    spare = site.clone / ".slipway/cache/spares" / site.git("rev-parse", "HEAD:app")
    assert (spare / "project" / WSGI.removeprefix("app/")).exists()
    # Of the next one only what differs from this one's files is told.
    lists = (site.clone / ".slipway/cache/files").glob("*/tree")
    assert any("app/CHANGES.txt" in path.read_text() for path in lists)

    done = site.invoke("rollback")
    assert done.code == 0, done
    assert site.release() == first

    done = site.invoke("rollback", second)
    assert done.code == 0, done
    assert site.release() == second


def test_what_verify_names_is_mended_by_what_it_advises(site: Site, as_before: None) -> None:
    """A deploy would not do it: nothing has changed."""
    release = site.release()
    for place in ("app/manage.py", "venv/lib/python*/site-packages/django/shortcuts.py"):
        path = f"/srv/locallibrary/releases/{release}/{place}"
        site.ask(f"for f in {path}; do chmod u+w $f; echo '# written' >>$f; done")
    done = site.invoke("verify")
    assert done.code == 4, done
    for name in ("manage.py", "django/shortcuts.py"):
        assert name in done.output
    advice = done.output.strip().rpartition("invoke ")[2]
    done = site.invoke(advice)
    assert done.code == 0, done
    done = site.invoke("verify")
    assert done.code == 0, done
    assert site.release() == release


@pytest.mark.parametrize("fault", [RAISES, EVERY_PAGE_500], ids=["wsgi raises", "every page 500"])
def test_a_broken_release_leaves_the_old_one_serving(
    site: Site, as_before: None, fault: str
) -> None:
    before = site.release()
    wsgi = (site.clone / WSGI).read_text()
    site.commit({WSGI: wsgi + fault}, "Break it")
    done = site.invoke("deploy")
    assert done.code == 3, done
    assert "Traceback (most recent call last)" not in done.output.partition("deploy/")[0]
    assert site.release() == before
    states = {release["id"]: release["state"] for release in site.json("releases")}
    assert states[before].startswith("live")
    # Nothing of the broken one keeps running.
    running = site.ask("systemctl list-units --no-legend --plain 'locallibrary-web@*.service'")
    assert before in running
    broken = next(name for name in states if name > before)
    assert broken not in running


def test_of_two_deploys_at_once_the_second_is_refused(site: Site, as_before: None) -> None:
    wsgi = (site.clone / WSGI).read_text()
    revision = site.commit({WSGI: wsgi + SLOW_START}, "Start slowly")
    first = site.start("deploy")
    try:
        wait_for_lock(site, first)
        begun = time.monotonic()
        second = site.invoke("deploy")
        assert second.code == 2, second
        assert time.monotonic() - begun < 10
        assert re.search(r"since|started", second.output), second
        assert first.wait(timeout=120) == 0
    finally:
        first.kill()
        first.communicate()
    assert site.release().endswith(revision)


def wait_for_lock(site: Site, process: subprocess.Popen[str]) -> None:
    """Until the first deploy holds the lock on the droplet."""
    while site.ssh(f"flock --nonblock {LAYOUT.lock} true").code == 0:
        assert process.poll() is None, "the first deploy ended before it took the lock"
        time.sleep(0.2)


def test_status_tells_what_is_live(site: Site) -> None:
    told = site.json("status")
    assert site.release() in str(told)


def test_the_audit_log_has_a_line_for_every_deploy(site: Site, as_before: None) -> None:
    lines = site.ask(f"cat {LAYOUT.audit_log}").splitlines()
    new_revision(site, "One more line")
    assert site.invoke("deploy").code == 0
    more = site.ask(f"cat {LAYOUT.audit_log}").splitlines()
    assert more[: len(lines)] == lines
    assert site.release() in "".join(more[len(lines) :])


def test_after_a_reboot_everything_comes_up_by_itself(site: Site) -> None:
    before = site.release()
    done = run("invoke", "lab.reboot", "--name", site.name, cwd=ROOT)
    assert done.code == 0, done
    site.wait_until_up(seconds=15)
    assert site.release() == before
    assert site.ask("systemctl --failed --no-legend --plain") == ""


def test_debian_12_takes_a_deploy(debian12: Site) -> None:
    done = debian12.invoke("deploy")
    assert done.code == 0, done
    assert debian12.release().endswith(debian12.git("rev-parse", "--short=7", "HEAD"))
