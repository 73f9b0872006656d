"""Processes die, Nginx reloads, the certificate renews: visitors are answered."""

import time

import pytest

from tests.lab.faults import changes
from tests.lab.faults.conftest import NewRow
from tests.lab.faults.controller import Controller
from tests.lab.faults.inside import APP, nothing_left, whole
from tests.lab.faults.invariants import check_answers
from tests.lab.faults.visitors import Visitors
from tests.lab.site import Site

GROUP = "Processes and certificates"
slow = pytest.mark.slow
MASTER = f"systemctl kill --signal=KILL --kill-whom=main '{APP}-web@*.service'"
WORKER = (
    f"main=$(systemctl show --property=MainPID --value '{APP}-web@*.service'); "
    "kill -9 $(pgrep --newest --parent $main)"
)
RENEW = (
    "REQUESTS_CA_BUNDLE=/etc/letsencrypt/acme-ca.pem certbot renew --force-renewal "
    f"--cert-name {APP} --no-random-sleep-on-renew --quiet"
)
SERIAL = f"openssl x509 -in /etc/ssl/{APP}/live/fullchain.pem -noout -serial"


@pytest.mark.parametrize(
    ("who", "command"),
    [
        pytest.param("a worker", WORKER, id="worker"),
        pytest.param("the master process", MASTER, id="master", marks=slow),
    ],
)
def test_gunicorn_is_killed(site: Site, row: NewRow, who: str, command: str) -> None:
    told = row(GROUP, f"kill -9 of {who} of Gunicorn, three times", "no request is lost", "A")
    old = site.release()
    with Visitors(site) as visitors:
        for _ in range(3):
            # A request that was asked again, once, is not to meet the next one too.
            visitors.wait_for(4)
            site.ask(command)
        visitors.wait_for(2)
    check_answers(told, visitors.history, old)
    nothing_left(site)


@slow
def test_nginx_reloads_during_a_deploy(site: Site, row: NewRow) -> None:
    told = row(GROUP, "Nginx is reloaded three times during a deploy", "no request is lost", "A B")
    old = site.release()
    with Visitors(site) as visitors:
        revision = changes.good(site)
        with Controller(site, "deploy") as controller:
            for phase in ("start", "switch", "bake"):
                controller.until(phase)
                site.ask("systemctl reload nginx")
            done = controller.done()
        assert done.code == 0, done
    check_answers(told, visitors.history, old, revision)
    whole(site)
    nothing_left(site)


@slow
def test_the_certificate_renews_during_a_deploy(site: Site, row: NewRow) -> None:
    told = row(
        GROUP,
        "certbot renews the certificate during a deploy",
        "certificate and key always match, no request is lost",
        "A B",
    )
    old, serial = site.release(), site.ask(SERIAL)
    with Visitors(site) as visitors:
        revision = changes.good(site)
        with Controller(site, "deploy") as controller:
            controller.until("build")
            begun = time.monotonic()
            renewed = site.ssh(RENEW)
            told.figures["renewed in"] = f"{time.monotonic() - begun:.1f} s"
            done = controller.done()
        assert renewed.code == 0, renewed
        assert done.code == 0, done
        visitors.wait_for(1)
    check_answers(told, visitors.history, old, revision)
    assert site.ask(SERIAL) != serial
    whole(site)
    nothing_left(site)


@slow
def test_a_second_provision_disturbs_nobody(site: Site, row: NewRow) -> None:
    told = row(
        GROUP, "site.yml runs again", "Nginx and the app are not restarted, no request is lost", "A"
    )
    old = site.release()
    running = f"systemctl show --property=MainPID,ActiveEnterTimestamp nginx '{APP}-web@*.service'"
    before = site.ask(running)
    with Visitors(site) as visitors:
        done = site.play("-e", "unchanged_skip=false")
    assert done.code == 0, done
    assert site.ask(running) == before
    check_answers(told, visitors.history, old)
