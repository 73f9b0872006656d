"""Updates, drift, and what the live release is made of, on a real droplet."""

import json
from pathlib import Path

import pytest

from audits import packages
from audits.subject import Subject, connect
from deploy.host.layout import Layout
from deploy.inventory import read_target
from tests.lab.faults.visitors import Visitors, describe, lost
from tests.lab.site import Site

LAYOUT = Layout(Path("/srv/locallibrary"))
# A library that Nginx, Python and PostgreSQL use, replaced as an upgrade would.
REPLACE = (
    "for file in $(ldd /usr/sbin/nginx | awk '/libcrypto/ { print $3 }'); do "
    'file=$(readlink -f "$file"); cp -p "$file" "$file.new" && mv "$file.new" "$file"; done'
)
# Two versions of a package, the newer one in an archive whose suite is called as Debian's own is.
CANARY = """\
set -e
umask 022
mkdir -p /root/archive/canary/DEBIAN && cd /root/archive
for version in 1 2; do
    printf 'Package: canary\\nVersion: %s\\nArchitecture: all\\nMaintainer: L <l@slipway.test>\\n' \
        $version > canary/DEBIAN/control
    echo 'Description: a package that has a security update' >> canary/DEBIAN/control
    dpkg-deb --build canary canary_$version.deb
done
dpkg --install canary_1.deb
{
    dpkg-deb --field canary_2.deb
    echo "Filename: ./canary_2.deb"
    echo "Size: $(stat -c %s canary_2.deb)"
    echo "SHA256: $(sha256sum canary_2.deb | cut -d' ' -f1)"
} > Packages
printf 'Suite: stable-security\\nSHA256:\\n %s %s Packages\\n' \
    "$(sha256sum Packages | cut -d' ' -f1)" "$(stat -c %s Packages)" > Release
chmod -R a+rX /root/archive && mv /root/archive /srv/archive
echo 'deb [trusted=yes] file:/srv/archive ./' > /etc/apt/sources.list.d/canary.list
"""
NO_CANARY = (
    "dpkg --purge canary; rm -rf /srv/archive /root/archive /etc/apt/sources.list.d/canary.list"
)

# Connections of earlier commands that are kept for a minute; without pam_systemd they count as its.
OPEN = {"ssh.service"}


@pytest.fixture(scope="module")
def site(debian13: Site) -> Site:
    """The droplet with a live release."""
    done = debian13.invoke("deploy")
    assert done.code == 0, done
    return debian13


@pytest.fixture(scope="module")
def subject(site: Site) -> Subject:
    return connect(read_target(site.clone, site.name), site.clone)


def audited(site: Site, name: str) -> dict[str, str]:
    """The problems of one audit, by control."""
    done = site.invoke("audit", "--only", name, "--json")
    (verdict,) = json.loads(done.stdout)
    assert done.code == (4 if verdict["failed"] else 0), done
    return {check["control"]: check["problem"] for check in verdict["failed"]}


def test_the_live_release_has_no_known_holes(subject: Subject) -> None:
    report = packages.run(subject)
    assert [check.problem for check in report.checks if check.problem] == []
    if report.skipped:
        assert "index" in report.skipped, report.skipped
        pytest.skip(report.skipped)


@pytest.mark.parametrize("unit", ["apt-daily-upgrade", "slipway-reboot"])
def test_upgrades_and_reboots_take_the_lock_of_deploys(site: Site, unit: str) -> None:
    started = site.ask(f"systemctl show -P ExecStart {unit}.service")
    assert "path=/usr/local/sbin/slipway-hold" in started


def test_an_upgrade_waits_for_a_deploy_and_says_so_when_it_gives_up(site: Site) -> None:
    hold = '/usr/local/sbin/slipway-hold 1 "An upgrade" /bin/echo upgraded'
    held = site.ssh(f"flock {LAYOUT.lock} {hold}")
    assert held.code == 1, held
    assert held.stderr == (
        f"slipway-hold: a deploy still holds {LAYOUT.lock}; left for the next time\n"
    )
    assert site.ask(hold) == "upgraded"


def test_a_deploy_that_comes_during_an_upgrade_is_told(site: Site) -> None:
    hold = '/usr/local/sbin/slipway-hold 5 "An unattended upgrade" /bin/sleep 300'
    site.ask(f"systemd-run --quiet --unit=held {hold}")
    try:
        site.ask(f"until grep -q unattended {LAYOUT.lock}; do sleep 0.1; done")
        done = site.invoke("deploy", "--allow-breaking")
        assert done.code == 2, done
        assert "An unattended upgrade has been running `sleep` here since" in done.output
    finally:
        site.ask("systemctl stop held")
    assert site.invoke("deploy").code == 0


def test_the_lock_is_no_way_to_have_root_write_elsewhere(site: Site) -> None:
    site.ask(f"ln -sfn /etc/victim {LAYOUT.lock}.link && mv -T {LAYOUT.lock}.link {LAYOUT.lock}")
    try:
        assert site.ssh('/usr/local/sbin/slipway-hold 1 "An upgrade" /bin/true').code != 0
        assert site.ssh("test -e /etc/victim").code != 0
    finally:
        site.ask(f"rm {LAYOUT.lock}")
    assert site.invoke("deploy").code == 0


def test_patch_starts_again_what_used_replaced_libraries_and_loses_no_request(site: Site) -> None:
    before = site.ask("systemctl show -P MainPID -P ActiveEnterTimestamp nginx").split("\n")
    site.ask(REPLACE)
    assert {"nginx.service", "postgresql@17-main.service"} <= audited(site, "updates").keys()
    plan = site.json("patch")
    assert not plan["changed"]
    assert "nginx.service" in plan["restart"]
    with Visitors(site, "/healthz") as visitors:
        done = site.invoke("patch", "--yes", "--json")
    assert done.code == 0, done
    assert set(json.loads(done.stdout)["left"]["restart"]) <= OPEN
    assert len(visitors.history) > 0
    assert not lost(visitors.history), describe(lost(visitors.history))
    after = site.ask("systemctl show -P MainPID -P ActiveEnterTimestamp nginx").split("\n")
    # Another process, of a unit that was never stopped.
    assert [old == new for old, new in zip(before, after, strict=True)].count(False) == 1
    assert audited(site, "updates").keys() <= OPEN


def test_patch_installs_the_security_updates_of_its_plan(site: Site) -> None:
    site.ask(CANARY)
    try:
        (update,) = [one for one in site.json("patch")["upgrade"] if one["name"] == "canary"]
        assert update == {"name": "canary", "old": "1", "new": "2", "security": True}
        assert "canary" in audited(site, "updates")
        done = site.invoke("patch", "--yes")
        assert done.code == 0, done
        assert "upgrade   canary 1 -> 2" in done.output
        assert site.ask("dpkg-query -W -f '${Version}' canary") == "2"
        assert "canary" not in audited(site, "updates")
    finally:
        site.ask(NO_CANARY)


def test_patch_changes_nothing_unless_somebody_agrees(site: Site) -> None:
    site.ask(REPLACE)
    done = site.invoke("patch")
    assert done.code == 2, done
    assert "restart   nginx.service" in done.output
    assert "then run: invoke patch --yes" in done.output
    assert "nginx.service" in audited(site, "updates")


@pytest.mark.slow
def test_patch_reboots_and_waits_for_the_site(site: Site) -> None:
    boot = site.ask("systemctl show -P UserspaceTimestamp")
    done = site.invoke("patch", "--yes", "--reboot")
    assert done.code == 0, done
    assert site.get().status == 200
    assert site.ask("systemctl show -P UserspaceTimestamp") != boot


def test_a_file_that_was_added_to_a_release_is_found(site: Site) -> None:
    evil = f"{LAYOUT.current}/app/sitecustomize.py"
    site.ask(f"touch {evil}")
    done = site.invoke("verify")
    site.ask(f"rm {evil}")
    assert done.code == 4, done
    assert "app/sitecustomize.py" in done.output
    assert site.invoke("verify").code == 0


@pytest.mark.slow
def test_drift_names_what_was_changed_and_what_was_dropped_until_the_roles_ran(site: Site) -> None:
    unit, stray = "/etc/systemd/system/locallibrary-web@.service", "/etc/nginx/conf.d/by-hand.conf"
    override = "/etc/systemd/system/nginx.service.d/by-hand.conf"
    site.ask(
        f"echo '# by hand' >> {unit}; echo 'LANG=C' > /etc/default/locale; echo '#' > {stray}; "
        f"mkdir -p {override.rpartition('/')[0]}; echo '[Unit]' > {override}"
    )
    found = audited(site, "drift")
    assert sorted(found) == sorted([unit, "/etc/default/locale", stray, override])
    assert "-# by hand" in found[unit]
    assert site.play().code == 0
    assert sorted(audited(site, "drift")) == sorted([stray, override])
    site.ask(f"rm {stray} {override}")
    assert audited(site, "drift") == {}
