"""Three sites on one droplet: none disturbs another, reads what is its, or takes its share."""

import shlex
from itertools import permutations

import pytest

from tests.lab.faults.visitors import describe, lost
from tests.lab.sites.attempts import as_user, attempts, redis_address, succeeded
from tests.lab.sites.harbour import APPS, Harbour
from tests.lab.test_provision import recap

pytestmark = pytest.mark.slow


def test_another_site_s_playbook_and_deploy_cost_visitors_nothing(harbour: Harbour) -> None:
    assert len(harbour.history) > 100
    assert not lost(harbour.history), describe(lost(harbour.history))


def test_runs_for_one_site_and_another_in_turn_change_nothing(harbour: Harbour) -> None:
    again = harbour.runs[len(APPS) :]
    assert [app for app, _ in again] == [*APPS, "library"]
    for app, done in again:
        assert recap(done)["changed"] == 0, (app, done)


def test_each_answers_under_its_own_name_and_certificate(harbour: Harbour) -> None:
    pages = {"library": "/", "shop": "/", "plain": "/admin/login/"}
    words = {"library": "library", "shop": "the shop is open", "plain": "Django"}
    for app, tenant in harbour.tenants.items():
        answer = tenant.get(pages[app])
        assert (answer.status, words[app] in answer.body) == (200, True), answer
        names = {name for _, name in answer.certificate["subjectAltName"]}
        assert names == {tenant.domain}
        assert tenant.json("status")["current"]["id"] == answer.headers["X-Release"]


@pytest.mark.parametrize(("mine", "other"), list(permutations(APPS, 2)))
@pytest.mark.parametrize("kind", ["deploy", "app"])
def test_nobody_reads_writes_or_asks_what_is_another_site_s(
    harbour: Harbour, mine: str, other: str, kind: str
) -> None:
    lines = [line for line, _ in attempts(harbour.tenants[other], mine)]
    assert len(lines) > 20
    assert succeeded(lines, as_user(harbour.tenants[mine], kind)) == []


@pytest.mark.parametrize("app", APPS)
def test_whose_it_is_can_do_all_of_that(harbour: Harbour, app: str) -> None:
    """So what fails above fails for what somebody is, and not for how it is written."""
    tenant = harbour.tenants[app]
    try:
        for kind in ("deploy", "app", "root"):
            lines = [line for line, allowed in attempts(tenant, app) if allowed == kind]
            assert succeeded(lines, as_user(tenant, kind)) == lines
    finally:
        tenant.ask(f"rm -f /srv/{app}/x /srv/{app}/media/x /run/{app}/x")


def test_behind_its_walls_a_site_is_alone(harbour: Harbour) -> None:
    address = redis_address(harbour.tenants["shop"])
    knock = f"import socket; socket.create_connection(('{address}', 6379), 3)"
    for app, tenant in harbour.tenants.items():
        assert tenant.inside("ls /srv").stdout.split() == [app]
        users = set(tenant.inside("ps -eo user= | sort -u").stdout.split())
        assert users == {app}, users
        reached = tenant.inside(f"python3 -c {shlex.quote(knock)}").code == 0
        assert reached is (app == "shop")
    # Its Redis is all of the network that it has.
    for host in ("127.0.0.1", address, harbour.site.address):
        web = f"import socket; socket.create_connection(('{host}', 443), 3)"
        assert harbour.tenants["shop"].inside(f"python3 -c {shlex.quote(web)}").code != 0


def test_each_site_has_limits_of_its_own(harbour: Harbour) -> None:
    site = harbour.site
    asked = (
        "SELECT rolname || '=' || rolconnlimit FROM pg_roles "
        "WHERE rolcanlogin AND rolname <> 'postgres' ORDER BY 1"
    )
    limits = site.ask(f"cd /; runuser -u postgres -- psql -Atc {shlex.quote(asked)}")
    assert limits.split() == ["library=50", "plain=7", "shop=50"]
    for app, tenant in harbour.tenants.items():
        release = tenant.json("status")["current"]["id"]
        group = site.ask(f"systemctl show -P ControlGroup {app}-web@{release}.service")
        assert group.startswith(f"/slipway.slice/slipway-{app}.slice/"), group
    assert site.ask("systemctl show -P MemoryMax slipway-plain.slice") == str(512 * 2**20)
    assert site.ask("systemctl show -P ControlGroup shop-redis.service").startswith(
        "/slipway.slice/slipway-shop.slice/"
    )
