"""The Procfile's process types on a droplet: the release line, more workers, fewer, and status."""

import re
from collections.abc import Iterator

import pytest

from tests.lab.faults.visitors import Visitors, slowest
from tests.lab.inventories import with_own_facts
from tests.lab.roles import play
from tests.lab.site import Site

APP = "locallibrary"
WORKER = "import time\n\nprint('working', flush=True)\nwhile True:\n    time.sleep(1)\n"
# Runs in the release, where the migrations are applied already, and says who it is.
RELEASE = """\
import os

import django

django.setup()
from catalog.models import Genre

print("release line of", os.environ["RELEASE_ID"], "sees", Genre.objects.count(), flush=True)
raise SystemExit(int(os.environ.get("LINE_FAILS", "0")))
"""
LINES = "release: DJANGO_SETTINGS_MODULE=locallibrary.settings python line.py\n"
FACTS = "inventory/group_vars"
ENV = "scaled"


@pytest.fixture(scope="module")
def site(debian13: Site) -> Iterator[Site]:
    """The droplet with a worker and a release line; without them afterwards."""
    before = debian13.git("rev-parse", "HEAD")
    procfile = (debian13.clone / "app/Procfile").read_text()
    web = "".join(line for line in procfile.splitlines(True) if line.startswith("web"))
    done = debian13.invoke("deploy")
    assert done.code == 0, done
    debian13.commit(
        {
            **with_own_facts(debian13, ENV),
            "app/worker.py": WORKER,
            "app/line.py": RELEASE,
            "app/Procfile": f"{web}{LINES}worker: python worker.py\n",
        },
        "A worker and a release line",
    )
    yield debian13
    debian13.git("reset", "--quiet", "--hard", before)
    done = play(debian13, ["app"])
    assert done.code == 0, done
    assert debian13.invoke("deploy").code == 0
    assert set(running(debian13)) == {"web"}


def running(site: Site) -> dict[str, str]:
    return {entry["process"]: entry["state"] for entry in site.json("ps")}


def gunicorn_workers(site: Site) -> int:
    unit = f"{APP}-web@{site.release()}.service"
    main = site.ask(f"systemctl show -P MainPID {unit}")
    return len(site.ask(f"pgrep --parent {main}").split())


def test_the_release_line_runs_before_the_release_starts(site: Site) -> None:
    before = site.release()
    site.commit({"app/Procfile": (site.clone / "app/Procfile").read_text()}, "The same")
    done = site.invoke("deploy")
    assert done.code == 0, done
    after = site.release()
    assert after != before
    assert re.search(rf"release line of {after} sees \d+", done.output), done
    phases = re.findall(r"^(?:done|failed) +[\d.]+ s +(\w+)", done.output, re.MULTILINE)
    assert phases.index("migrate") < phases.index("release") < phases.index("start"), done


def test_a_release_line_that_fails_leaves_the_old_release_serving(site: Site) -> None:
    before = site.release()
    procfile = site.clone / "app/Procfile"
    good = procfile.read_text()
    site.commit({"app/Procfile": good.replace("release: ", "release: LINE_FAILS=3 ")}, "Fails")
    done = site.invoke("deploy")
    assert done.code == 3, done
    assert "release line ended with exit code 3" in done.output
    assert "release line of" in done.output
    assert site.release() == before
    failed = next(release for release in site.json("releases") if release["subject"] == "Fails")
    assert failed["state"] == "failed"
    site.commit({"app/Procfile": good}, "Good again")


def test_scaling_loses_no_request_and_stays_in_the_inventory(site: Site) -> None:
    release, workers = site.release(), gunicorn_workers(site)
    with Visitors(site) as visitors:
        done = site.invoke("ps.scale", env=ENV, words=(f"web={workers + 1}", "worker=2"))
        assert done.code == 0, done
    assert [record for record in visitors.history if not record.good] == []
    assert {record.release for record in visitors.history} == {release}
    assert slowest(visitors.history) < 10
    assert gunicorn_workers(site) == workers + 1
    up = "active/running"
    assert running(site) == {"web": up, "worker": up, "worker.2": up}
    assert "worker: 2" in (site.clone / FACTS / f"{ENV}.yml").read_text()
    assert site.invoke("status").stdout.count(up) == 3
    # Both speak under the name of their type.
    shown = site.invoke("logs", "--process", "worker").stdout
    assert shown.count("working") == 2, shown


def test_a_worker_that_is_missing_is_not_well(site: Site) -> None:
    release = site.release()
    site.ask(f"systemctl stop {APP}-worker.2@{release}.service")
    done = site.invoke("status")
    assert done.code == 1, done
    assert "not well: worker.2 does not run" in done.stdout
    done = site.invoke("ps.restart", "--process", "worker")
    assert done.code == 0, done
    assert site.invoke("status").code == 0


def test_fewer_are_stopped_and_their_units_are_gone(site: Site) -> None:
    done = site.invoke("ps.scale", "worker=1", env=ENV)
    assert done.code == 0, done
    assert set(running(site)) == {"web", "worker"}
    units = site.ask(f"ls /etc/systemd/system/ | grep {APP}-worker").split()
    assert units == [f"{APP}-worker@.service"]


def test_what_the_procfile_does_not_name_is_refused(site: Site) -> None:
    text = (site.clone / FACTS / f"{ENV}.yml").read_text()
    done = site.invoke("ps.scale", "clock=1", env=ENV)
    assert done.code == 2, done
    assert "Procfile has no clock, only: web, worker" in done.output
    assert (site.clone / FACTS / f"{ENV}.yml").read_text() == text
