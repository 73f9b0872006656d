"""invoke doctor on a real droplet: what is well, what is not, and a config var that it sets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.lab.roles import play
from tests.lab.site import Site

APP = "locallibrary"
ENV = "doctored"
SETTINGS = "app/locallibrary/settings.py"
STRANGER = "doctor-stranger"
BROKEN = "doctor-broken"
FOREIGN = "/etc/cron.d/doctor-foreign"


@pytest.fixture(scope="module")
def site(debian13: Site) -> Site:
    """The droplet with a release that is live."""
    done = debian13.invoke("deploy")
    assert done.code == 0, done
    return debian13


def examined(site: Site, *options: str, env: str = "") -> dict[str, Any]:
    done = site.invoke("doctor", "--json", *options, env=env)
    told: dict[str, Any] = json.loads(done.stdout)
    hindered = [one for group in ("project", "droplet") for one in told[group] if amiss(one)]
    assert done.code == (1 if hindered else 0), done
    assert "Traceback" not in done.output
    return told


def amiss(finding: dict[str, Any]) -> bool:
    return finding["verdict"] in ("config var", "inventory", "project", "droplet")


def test_a_site_that_is_well(site: Site) -> None:
    told = examined(site)
    assert [one for one in told["project"] if amiss(one)] == []
    found = {one["subject"]: one for one in told["droplet"]}
    assert {"ssh", "clock", "disk", "memory", "certificate", "release", "database"} <= found.keys()
    # Whether updates wait is up to Debian.
    assert [one for one in told["droplet"] if amiss(one) and one["subject"] != "updates"] == []
    assert found["system"]["told"].startswith("debian 13; nginx 1.")
    assert found["listens"]["verdict"] == "fine"
    assert (found["drift"]["verdict"], found["drift"]["command"]) == (
        "not looked at",
        "invoke doctor --drift",
    )


def test_what_is_wrong_with_a_droplet_is_told(site: Site) -> None:
    site.ask(
        f"systemd-run --quiet --unit={STRANGER} python3 -m http.server 8081; "
        f"systemd-run --quiet --unit={BROKEN} false; systemctl stop nginx; "
        "until ss -Hltn | grep -q :8081; do sleep 0.1; done"
    )
    try:
        found = [one["told"] for one in examined(site)["droplet"] if amiss(one)]
    finally:
        site.ask(f"systemctl start nginx; systemctl stop {STRANGER}; systemctl reset-failed")
    assert any("python3 listens on 0.0.0.0:8081" in told for told in found), found
    assert f"{BROKEN}.service failed" in found
    assert {f"port {port} of {site.address} does not answer" for port in (80, 443)} == {
        told.partition(":")[0] for told in found if told.startswith("port")
    }
    assert any("no certificate" in told for told in found), found


def test_a_droplet_that_does_not_answer_is_a_line_and_the_project_comes_all_the_same(
    site: Site,
) -> None:
    told = examined(site, env="unreachable")
    assert any("cannot be reached" in one["told"] for one in told["droplet"])
    assert [one for one in told["project"] if amiss(one)] == []
    known = examined(site, env="unknown-key")
    assert any("is not known: ssh-ed25519" in one["told"] for one in known["droplet"])


@pytest.mark.slow
def test_drift_is_told_where_it_is_asked_for(site: Site) -> None:
    site.ask(f"echo '# nobody made this' > {FOREIGN}")
    try:
        told = examined(site, "--drift")
    finally:
        site.ask(f"rm {FOREIGN}")
    found = [one["told"] for one in told["droplet"] if one["subject"] == "drift"]
    assert found == [f"{FOREIGN}: remove it, or make it by a role"]


@pytest.fixture
def doctored(site: Site) -> Iterator[Site]:
    """An environment with facts of its own; everything is as before afterwards."""
    inventory = site.clone / "inventory"
    hosts = yaml.safe_load((inventory / f"{site.name}.yml").read_text())
    text = f"---\n{yaml.safe_dump({ENV: {'children': hosts}})}"
    before = site.git("rev-parse", "HEAD")
    facts = "---\n# This environment's own facts.\napp_outbound: []\n"
    site.commit({f"inventory/{ENV}.yml": text, f"inventory/group_vars/{ENV}.yml": facts}, ENV)
    yield site
    site.git("reset", "--quiet", "--hard", before)
    site.git("clean", "--quiet", "--force", "-d")
    assert play(site, ["app"]).code == 0
    assert site.invoke("deploy").code == 0


def test_a_config_var_that_helps_is_set_and_the_next_deploy_goes_through(doctored: Site) -> None:
    site = doctored
    assert site.invoke("deploy", env=ENV).code == 0
    settings = (site.clone / SETTINGS).read_text()
    changed = settings.replace('flag("DJANGO_DEBUG")', 'os.environ.get("SITE_DEBUG") != "False"')
    site.commit({SETTINGS: changed}, "DEBUG on unless a variable says otherwise")
    refused = site.invoke("deploy", env=ENV)
    assert refused.code == 2, refused
    (one,) = [one for one in examined(site, env=ENV)["project"] if amiss(one)]
    assert (one["subject"], one["sets"]) == ("DEBUG", ["SITE_DEBUG", "False"])

    (fixed,) = [
        one for one in examined(site, "--fix", env=ENV)["project"] if "is set" in one["told"]
    ]
    assert fixed["told"] == "SITE_DEBUG is set"
    facts = site.clone / "inventory" / "group_vars" / f"{ENV}.yml"
    assert 'SITE_DEBUG: "False"' in facts.read_text()
    site.commit({}, "What the doctor set")
    done = site.invoke("deploy", env=ENV)
    assert done.code == 0, done
    assert site.get("/").status == 200
    assert [one for one in examined(site, env=ENV)["project"] if amiss(one)] == []
