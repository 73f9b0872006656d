"""What the web server does with strangers, floods and guessers, and which certificate it shows."""

import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab import network
from lab.run import run as must
from tests.certificates import pair
from tests.lab import http3
from tests.lab.faults.visitors import Visitors, lost
from tests.lab.preparations import SUITES, Provisioned
from tests.lab.roles import play
from tests.lab.site import Site, run

both = pytest.mark.parametrize("provisioned", SUITES, indirect=True)
# Addresses of the bridge that no droplet gets, and that the inventory sets no limits aside for.
# A new one for each test: who was banned in one is not forgotten in the next.
STRANGERS = iter(network.SUBNET[number] for number in range(3, 10))
# curl: the server said nothing; the handshake was refused.
EMPTY, REFUSED = 52, 35


@pytest.fixture(scope="module")
def site(debian13: Site) -> Site:
    """The droplet with a release."""
    assert debian13.invoke("deploy").code == 0
    return debian13


@pytest.fixture
def stranger() -> Iterator[str]:
    """An address that the site does not know yet."""
    address = str(next(STRANGERS))
    must("ip", "address", "replace", f"{address}/32", "dev", network.BRIDGE)
    try:
        yield address
    finally:
        must("ip", "address", "delete", f"{address}/32", "dev", network.BRIDGE)


@both
def test_an_unknown_name_gets_no_answer_that_helps(provisioned: Provisioned) -> None:
    site = provisioned.site
    to = ("curl", "-s", "-k", "--connect-to", f"::{site.address}:")
    assert run(*to, "http://elsewhere.example/").code == EMPTY
    assert run(*to, f"http://{site.address}/").code == EMPTY
    assert run(*to, "https://elsewhere.example/").code == REFUSED
    # A known name in the handshake, and another one in the request.
    answer = run(*to, "--http1.1", "-H", "Host: elsewhere.example", f"https://{site.domain}/")
    assert answer.code == EMPTY
    assert answer.stdout == ""


@both
def test_a_further_domain_leads_to_the_first_one(provisioned: Provisioned) -> None:
    site = provisioned.site
    answer = site.get("/books/?page=2", host=f"www.{site.domain}")
    assert answer.status == 301
    assert answer.headers["Location"] == f"https://{site.domain}/books/?page=2"


def test_new_versions_of_http_are_spoken(site: Site) -> None:
    write = ("-o", "/dev/null", "-w", "%{http_version} %header{alt-svc}")
    to = ("-s", "-k", "--http2", "--connect-to", f"::{site.address}:")
    said = run("curl", *to, *write, f"https://{site.domain}/")
    assert said.stdout == '2 h3=":443"; ma=86400', said
    # Each by a connection of its own, and so by either worker of Nginx.
    assert http3.statuses(site, "/healthz", 30) == [200] * 30


def test_a_request_has_one_id_in_both_logs(site: Site) -> None:
    path = "/a-page-that-is-not-there"
    assert site.get(path).status == 404
    line = site.ask(f"grep 'GET {path} ' /var/log/nginx/access.log | tail -n 1")
    (request_id,) = re.findall(r"\b[0-9a-f]{32}\b", line)
    logged = site.ask(f"journalctl -u 'locallibrary-web@*' --no-pager -g {request_id}")
    assert f"WARNING django.request {request_id}: Not Found: {path}" in logged


def test_a_file_that_is_missing_is_logged_and_one_that_is_there_is_not(site: Site) -> None:
    (there,) = re.findall(r'href="(/static/[^"]+\.css)"', site.get().body)[:1]
    missing = "/static/nobody-made-this.css"
    assert (site.get(there).status, site.get(missing).status) == (200, 404)
    log = site.ask("cat /var/log/nginx/access.log")
    assert f"GET {missing} " in log
    assert f"GET {there} " not in log


def test_guessing_passwords_is_slowed_down(site: Site, stranger: str) -> None:
    to = ("--interface", stranger, "--connect-to", f"::{site.address}:")
    write = ("-o", "/dev/null", "-w", "%{http_code} %header{retry-after}\n")
    guess = ("curl", "-s", "-k", *to, *write, "-d", "username=reader", "--rate", "1000/s")
    done = run(*guess, *[f"https://{site.domain}/accounts/login/"] * 25)
    answers = done.stdout.splitlines()
    # Without a token of the form Django refuses each; what matters is that it was asked.
    assert answers[0].split() == ["403"], done
    assert answers[-1].split() == ["429", "10"], done
    # Whoever only looks is not a guesser, and others may still log in.
    look = run("curl", "-s", "-k", *to, *write, f"https://{site.domain}/accounts/login/")
    assert look.stdout.split() == ["200"], look
    assert site.get("/accounts/login/").status == 200


def test_a_flood_from_one_address_leaves_others_served(site: Site, stranger: str) -> None:
    with Visitors(site, rate=5) as others, Visitors(site, rate=200, source=stranger) as flood:
        flood.wait_for(4)
    statuses = [record.status for record in flood.history]
    # nginx_limits: 20 pages a second and 100 at once, however fast this machine could ask.
    seconds = flood.history[-1].answered_at - flood.history[0].at
    assert 0 < statuses.count(200) < 100 + 20 * seconds + 20
    assert statuses.count(200) + statuses.count(429) == len(statuses)
    assert len(others.history) > 10
    assert not lost(others.history)


def test_slow_clients_are_let_go_and_others_served(site: Site, stranger: str) -> None:
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    beginnings = [
        b"GET / HTTP/1.1\r\nHost: ",  # never all of its headers
        f"POST / HTTP/1.1\r\nHost: {site.domain}\r\nContent-Length: 9\r\n\r\nx".encode(),
    ]
    with Visitors(site, rate=5) as others, ExitStack() as stack:
        slow = []
        for number in range(80):
            plain = socket.create_connection((site.address, 443), 5, (stranger, 0))
            connection = trusting.wrap_socket(plain, server_hostname=site.domain)
            stack.enter_context(connection)
            connection.sendall(beginnings[number % 2])
            slow.append(connection)
        begun = time.monotonic()
        for connection in slow:
            connection.settimeout(20)
            said = connection.recv(1000)
            # Nothing, or that it took too long.
            assert said == b"" or said.startswith(b"HTTP/1.1 408"), said
        assert time.monotonic() - begun < 15
    assert len(others.history) > 20
    assert not lost(others.history)


def test_an_upload_beyond_the_limit_is_refused(site: Site, tmp_path: Path) -> None:
    large, small = tmp_path / "large", tmp_path / "small"
    large.write_bytes(bytes(21 * 2**20))
    small.write_bytes(bytes(19 * 2**20))
    to = ("curl", "-s", "-k", "--connect-to", f"::{site.address}:", "-o", "/dev/null")
    for file, status in ((large, "413"), (small, "403")):
        form = ("-F", f"file=@{file}", "-w", "%{http_code}")
        # The smaller one reaches Django, which misses the token of a form.
        assert run(*to, *form, f"https://{site.domain}/accounts/login/").stdout == status


@pytest.mark.slow
def test_the_modern_profile_is_tls_1_3_alone(debian13: Site) -> None:
    site = debian13
    nginx = site.ask("systemctl show nginx -P MainPID")

    def speaks(version: str) -> bool:
        ask = f"openssl s_client -connect 127.0.0.1:443 -servername {site.domain} {version}"
        return site.ssh(f"{ask} </dev/null").code == 0

    assert (speaks("-tls1_2"), speaks("-tls1_3")) == (True, True)
    done = play(site, ["nginx"], site_tls_profile="modern")
    assert done.code == 0, done
    try:
        assert (speaks("-tls1_2"), speaks("-tls1_3")) == (False, True)
        assert site.get("/static/none").status == 404
    finally:
        done = play(site, ["nginx"])
    assert done.code == 0, done
    assert speaks("-tls1_2")
    assert site.ask("systemctl show nginx -P MainPID") == nginx


@pytest.mark.slow
def test_a_certificate_of_one_s_own_is_used_and_given_back(debian13: Site) -> None:
    site = debian13
    chain, key = pair([site.domain, f"www.{site.domain}"])
    shown = f"openssl s_client -connect 127.0.0.1:443 -servername {site.domain} </dev/null"
    nginx = site.ask("systemctl show nginx -P MainPID")
    acme = site.get().certificate["serialNumber"]
    own = {"site_certificate_chain": chain, "site_certificate_key": key}
    for changed in (True, False):
        done = play(site, ["tls", "nginx", "acme"], "--diff", **own)
        assert done.code == 0, done
        assert ("changed=0" not in done.stdout) is changed, done
        assert not any(line in done.output for line in key.splitlines()), "the key was shown"
    answered = site.ask(f"{shown} 2>/dev/null | openssl x509")
    assert ssl.PEM_cert_to_DER_cert(answered) == ssl.PEM_cert_to_DER_cert(chain)
    # Certbot's next renewal leaves it in place.
    assert site.ssh("test -e /etc/letsencrypt/renewal-hooks/deploy/locallibrary").code != 0
    done = play(site, ["tls", "nginx", "acme"])
    assert done.code == 0, done
    assert site.get().certificate["serialNumber"] == acme
    assert site.ask("systemctl show nginx -P MainPID") == nginx
