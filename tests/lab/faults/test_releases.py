"""Releases that must never reach a visitor, or be taken back from them at once."""

import time
from dataclasses import dataclass

import pytest

from tests.lab.faults import changes
from tests.lab.faults.changes import URLS, WSGI
from tests.lab.faults.conftest import NewRow
from tests.lab.faults.inside import look, whole
from tests.lab.faults.invariants import (
    check_after,
    check_answers,
    check_audited,
    check_releases,
    check_told,
)
from tests.lab.faults.visitors import Visitors, lost
from tests.lab.site import Site

GROUP = "Releases that are no good"
SETTINGS = "app/locallibrary/settings.py"
BASE = "app/catalog/templates/base.html"
slow = pytest.mark.slow

# The builder has no release id, the droplet's processes have.
ON_THE_DROPLET = "\nimport os  # noqa: E402\n\nif os.environ.get('RELEASE_ID'):\n"
RAISE = "    raise RuntimeError('broken on purpose')\n"
SLEEP = "    import time\n\n    time.sleep({})\n"
# Preloaded, so this is the master; it dies after READY, again and again.
DIES = "    import threading\n\n    threading.Timer({}, os._exit, [1]).start()\n"
EVERY_PAGE_500 = """
_healthy = application


def application(environ, start_response):
    if environ["PATH_INFO"] == "/readyz":
        return _healthy(environ, start_response)
    start_response("500 Internal Server Error", [("Content-Type", "text/plain")])
    return [b"broken on purpose"]
"""
HEALTH_HANGS = """
import time  # noqa: E402

from django.http import HttpResponse  # noqa: E402


def hangs(request):
    time.sleep(25)
    return HttpResponse("too late")


urlpatterns.insert(0, path("readyz", hangs))
"""
# Visitors are told from the release tool by the name they go by.
TO_VISITORS = """
_healthy = application


def application(environ, start_response):
    if environ.get("HTTP_USER_AGENT") != "slipway-load":
        return _healthy(environ, start_response)
"""
VISITORS_500 = f"""{TO_VISITORS}
    start_response("500 Internal Server Error", [("Content-Type", "text/plain")])
    return [b"broken on purpose"]
"""
VISITORS_KILL = f"""
import os  # noqa: E402
{TO_VISITORS}
    os.kill(os.getppid(), 9)
    return _healthy(environ, start_response)
"""
MISSING_ASSET = '<link rel="stylesheet" href="/static/catalog/gone.0123456789ab.css">\n'


@dataclass(frozen=True)
class Bad:
    """A change, and what the refusal has to say. Codes: 2 refused, 3 backed out."""

    fault: str
    path: str
    text: str
    words: tuple[str, ...]
    codes: tuple[int, ...] = (3,)


NEVER_SWITCHED = [
    Bad("wsgi.py raises", WSGI, ON_THE_DROPLET + RAISE, ("broken on purpose",)),
    Bad("settings raise", SETTINGS, "\nraise RuntimeError('broken on purpose')\n",
        ("broken on purpose",), (2,)),
    Bad("settings raise on the droplet only", SETTINGS, ON_THE_DROPLET + RAISE,
        ("broken on purpose",), (2, 3)),
    Bad("every page is a 500", WSGI, EVERY_PAGE_500, ("500",)),
    Bad("the health page hangs", URLS, HEALTH_HANGS, ("/readyz", "did not answer")),
    Bad("it never gets ready", WSGI, ON_THE_DROPLET + SLEEP.format(90), ("not ready",)),
    Bad("it crashes after READY, again and again", WSGI, ON_THE_DROPLET + DIES.format(0.02), ()),
    Bad("a page refers to a hashed file that is not there", BASE, MISSING_ASSET,
        ("gone.0123456789ab.css",)),
]  # fmt: skip


def case(bad: Bad) -> object:
    core = bad is NEVER_SWITCHED[0]
    return pytest.param(bad, id=bad.fault, marks=() if core else slow)


@pytest.mark.parametrize("bad", tuple(map(case, NEVER_SWITCHED)))
def test_it_is_never_switched_to(site: Site, row: NewRow, bad: Bad) -> None:
    told = row(GROUP, bad.fault, "a deploy of it: no visitor sees it", "A B C F")
    old, before = site.release(), look(site)
    good = site.git("rev-parse", "HEAD")
    with Visitors(site) as visitors:
        changes.append(site, bad.path, bad.text, bad.fault)
        begun = time.monotonic()
        done = site.invoke("deploy")
        told.figures["refused after"] = f"{time.monotonic() - begun:.0f} s"
        check_told(done, *bad.words, codes=bad.codes)
        check_releases(visitors.so_far(), old)
        if done.code == 3:
            check_audited(site, before, "failed")
        assert site.release() == old
        site.git("reset", "--quiet", "--hard", good)
        after = check_after(site, told, visitors)
    check_answers(told, visitors.history, old, after)


@slow
def test_a_slow_start_is_waited_for(site: Site, row: NewRow) -> None:
    told = row(GROUP, "it takes 10 s to start", "a deploy of it: it goes live", "A B")
    old = site.release()
    with Visitors(site) as visitors:
        revision = changes.append(site, WSGI, ON_THE_DROPLET + SLEEP.format(10), "Slow start")
        done = site.invoke("deploy")
        assert done.code == 0, done
    check_answers(told, visitors.history, old, revision)
    whole(site)


@slow
@pytest.mark.parametrize(
    ("fault", "text"),
    [
        pytest.param("visitors get 500, the gate does not", VISITORS_500, id="500"),
        pytest.param("a visitor's request kills the master process", VISITORS_KILL, id="crash"),
        pytest.param(
            "it crashes again and again, later than the gate looks",
            ON_THE_DROPLET + DIES.format(1.5),
            id="late crash",
        ),
    ],
)
def test_it_is_taken_back(site: Site, row: NewRow, fault: str, text: str) -> None:
    """The gate cannot see it; the bake has to."""
    told = row(
        GROUP, fault, "a deploy of it: taken back by itself, all is well after that", "B C F"
    )
    old = site.release()
    good = site.git("rev-parse", "HEAD")
    with Visitors(site) as visitors:
        bad = changes.append(site, WSGI, text, fault)
        done = site.invoke("deploy")
        returned_at = time.time()
        check_told(done)
        assert site.release() == old
        switched, failed = look(site).entries[-2:]
        assert [switched["event"], failed["event"]] == ["switched", "failed"]
        site.git("reset", "--quiet", "--hard", good)
        after = check_after(site, told, visitors)
    hurt = lost(visitors.history)
    told.figures["requests"] = str(len(visitors.history))
    told.figures["lost to the bad release"] = str(len(hurt))
    times = [one.at for one in hurt] or [0.0]
    told.figures["for"] = f"{max(times) - min(times):.1f} s"
    assert max(times) < returned_at
    check_releases(visitors.history, old, bad, after)
