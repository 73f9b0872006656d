"""What is the droplet's where three sites are on it: names, updates, drift, a reboot."""

import json
import time
from typing import Any

import pytest

from lab import droplets
from tests.lab.audits.test_upkeep import REPLACE
from tests.lab.sites.attempts import as_user, attempts, succeeded
from tests.lab.sites.harbour import NAME, Harbour, Tenant, job_is_done, write_inventory
from tests.lab.test_bare import FINGERPRINT
from tests.lab.test_provision import recap

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("changes", "sentences"),
    [
        ({"site_app": "shop"}, ["site_app is shop, which is on this droplet already"]),
        (
            {
                "site_app": "bazaar",
                "site_domains": [f"shop.{NAME}.slipway.test", f"bazaar.{NAME}.slipway.test"],
            },
            [
                f"site_domains has shop.{NAME}.slipway.test",
                "site_deploy_user is deploy, who deploys library",
                "write site_deploy_user: deploy-bazaar",
            ],
        ),
        (
            {"site_app": "messagebus", "site_deploy_user": "plain"},
            ["site_app is messagebus, a user", "site_deploy_user is plain, a user of plain"],
        ),
        ({"site_app": "bazaar", "site_addons": ["memcached"]}, ["has 'memcached', which is none"]),
    ],
    ids=["app", "domain and deploy user", "users", "add-on"],
)
def test_what_clashes_is_refused_before_any_change(
    harbour: Harbour, changes: dict[str, Any], sentences: list[str]
) -> None:
    site = harbour.site
    domains = [f"bazaar.{NAME}.slipway.test"]
    write_inventory(
        site, "bazaar", {"environment_name": "bazaar", "site_domains": domains, **changes}
    )
    try:
        before = site.ask(FINGERPRINT)
        done = site.play(env="bazaar")
        assert done.code != 0, done
        assert recap(done)["changed"] == 0, done
        said = " ".join(done.output.split())
        for sentence in ("Nothing was changed on web-bazaar.", *sentences):
            assert sentence in said, done
        assert site.ask(FINGERPRINT) == before
    finally:
        for name in ("bazaar.yml", "group_vars/bazaar.yml"):
            (site.clone / "inventory" / name).unlink()


def drift(tenant: Tenant) -> list[str]:
    done = tenant.invoke("audit", "--only", "drift", "--json")
    (verdict,) = json.loads(done.stdout)
    return [check["control"] for check in verdict["failed"]]


def test_drift_of_one_site_is_not_the_files_of_another(library: Tenant, shop: Tenant) -> None:
    strays = ["/etc/systemd/system/shop-evil.service", "/etc/nginx/conf.d/nobody.conf"]
    shop.ask(f"touch {' '.join(strays)}")
    try:
        assert drift(library) == strays[1:]
        assert sorted(drift(shop)) == sorted(strays)
    finally:
        shop.ask(f"rm {' '.join(strays)}")


def test_a_patch_for_one_site_keeps_deploys_of_all_away(library: Tenant, shop: Tenant) -> None:
    shop.ask(REPLACE)
    lock = "flock /srv/shop/lock sleep 300"
    shop.ask(f"systemd-run --quiet --collect --unit=deploying -- {lock}")
    try:
        done = library.invoke("patch", "--yes")
    finally:
        shop.ask("systemctl stop deploying")
    assert done.code == 2, done
    assert "a deploy still holds /srv/shop/lock" in done.output, done
    with library.start("patch", "--yes") as patch:
        until = time.monotonic() + 60
        while shop.ssh("systemctl is-active slipway-patch.service").code != 0:
            assert time.monotonic() < until
            assert patch.poll() is None, patch.stdout and patch.stdout.read()
            time.sleep(0.2)
        refused = shop.invoke("deploy")
        assert refused.code == 2, refused
        assert "invoke patch of library has been running" in refused.output, refused
        patch.communicate(timeout=300)
    assert patch.returncode == 0
    assert shop.ssh("systemctl is-active slipway-patch.service").code != 0
    assert shop.invoke("deploy").code == 0


def test_all_of_them_are_back_after_a_reboot(harbour: Harbour) -> None:
    droplets.reboot(NAME)
    for app, tenant in harbour.tenants.items():
        until = time.monotonic() + 60
        path = "/admin/login/" if app == "plain" else "/"
        while (status := answered(tenant, path)) != 200:
            assert time.monotonic() < until, (app, status)
            time.sleep(0.5)
    job_is_done(harbour.tenants["shop"], 30)
    site = harbour.site
    assert site.ask("systemctl is-active redis-server.service || :") == "inactive"
    assert site.ask("systemctl --failed --no-legend --plain") == ""
    lines = [line for line, _ in attempts(harbour.tenants["shop"], "library")]
    assert succeeded(lines, as_user(harbour.tenants["library"], "app")) == []


def answered(tenant: Tenant, path: str) -> int | str:
    try:
        return tenant.get(path).status
    except OSError as error:
        return str(error)
