"""The certificate authority fails: the old certificate serves, and somebody is told."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from lab import services
from lab.network import GATEWAY
from lab.run import dies_with_parent, run
from tests.lab.faults import changes
from tests.lab.faults.conftest import NewRow
from tests.lab.faults.inside import APP
from tests.lab.faults.invariants import check_answers
from tests.lab.faults.network import TABLE
from tests.lab.faults.test_processes import SERIAL
from tests.lab.faults.visitors import Visitors
from tests.lab.roles import play
from tests.lab.site import Site

pytestmark = pytest.mark.slow

GROUP = "The certificate's authority fails"
# An authority of these tests' own, beside the lab's.
PORT, MANAGEMENT_PORT = services.ACME_PORT + 1, services.MANAGEMENT_PORT + 1
DIRECTORY = f"https://{GATEWAY}:{PORT}/dir"
RULES = """\
table ip {table}
delete table ip {table}
table ip {table} {{
    chain there {{
        type filter hook output priority filter
        {there}
    }}
    chain back {{
        type filter hook input priority filter
        {back}
    }}
}}
"""
# {address} is the droplet's. What happens to its packets on this machine: a port that is closed; a
# connection that is made and stays silent; a challenge that nobody comes to ask for.
DOWN = f"ip saddr {{address}} tcp dport {services.ACME_PORT} reject with tcp reset"
STALLED = f"ip saddr {{address}} tcp dport {services.ACME_PORT} tcp flags & psh == psh drop"
BLOCKED = "ip daddr {address} tcp dport 80 drop"


@contextmanager
def packets(site: Site, there: str = "", back: str = "") -> Iterator[None]:
    rules = {"there": there.format(address=site.address), "back": back.format(address=site.address)}
    run("nft", "--file", "-", stdin=RULES.format(table=TABLE, **rules))
    try:
        yield
    finally:
        run("nft", "delete", "table", "ip", TABLE)


@contextmanager
def pebble(
    site: Site, folder: Path, lifetime: int, environment: Mapping[str, str]
) -> Iterator[None]:
    """A second Pebble, with its own fault switches and a lifetime of certificates in seconds."""
    # It remembers nobody, so the account that the one before gave is worth nothing.
    site.ask(f"rm -rf /etc/letsencrypt/accounts/{GATEWAY}:{PORT}")
    conf = json.loads(services.pebble_conf())
    conf["pebble"] |= {
        "listenAddress": f"{GATEWAY}:{PORT}",
        "managementListenAddress": f"{GATEWAY}:{MANAGEMENT_PORT}",
        "certificateValidityPeriod": lifetime,
    }
    (folder / "pebble.json").write_text(json.dumps(conf))
    argv = ("pebble", "-config", str(folder / "pebble.json"), "-dnsserver", f"{GATEWAY}:53")
    with (folder / "pebble.log").open("w") as log:
        process = subprocess.Popen(
            dies_with_parent(argv),
            env={**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0", **environment},
            stdout=log,
            stderr=log,
        )
        try:
            patience = time.monotonic() + 10
            while not services.listens(PORT):
                assert time.monotonic() < patience, (folder / "pebble.log").read_text()
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait()


@pytest.fixture
def due(site: Site) -> Iterator[None]:
    """The certificate is due for renewal, at every run of certbot."""
    conf = f"/etc/letsencrypt/renewal/{APP}.conf"
    site.ask(f"sed -i '1i renew_before_expiry = 9999 days' {conf}")
    yield
    site.ask(f"sed -i '/^renew_before_expiry = 9999 days/d' {conf}")
    site.ask("systemctl reset-failed certbot.service certbot-alert.service")


@pytest.mark.parametrize(
    ("fault", "there", "back"),
    [
        pytest.param("it is down", "", DOWN, id="down"),
        pytest.param("it takes connections and stays silent", "", STALLED, id="stalled"),
        pytest.param("the challenge is blocked", BLOCKED, "", id="challenge"),
    ],
)
def test_a_renewal_fails(
    site: Site, row: NewRow, due: None, fault: str, there: str, back: str
) -> None:
    told = row(
        GROUP,
        f"{fault}, while certbot's timer renews",
        "the old certificate serves, the journal and `invoke status` tell, the next run renews",
        "A F",
    )
    old, serial = site.release(), site.ask(SERIAL)
    with Visitors(site) as visitors:
        begun = int(site.ask("date +%s"))
        with packets(site, there, back):
            failed = site.ssh("systemctl start certbot.service")
        assert failed.code != 0, failed
        assert site.ask(SERIAL) == serial
        assert "certbot.service" in site.json("status", code=1)["failed_units"]
        alert = site.ask(f"journalctl -u certbot-alert -p err --since @{begun} -o cat --no-pager")
        assert f"The certificate of {site.domain} was not renewed; it ends on " in alert
        site.ask("systemctl start certbot.service")
    assert site.ask(SERIAL) != serial
    assert site.json("status")["failed_units"] == []
    check_answers(told, visitors.history, old)


def authority(site: Site, folder: Path, fault: str) -> AbstractContextManager[None]:
    """One that refuses nine of ten nonces, or whose certificates are over after some seconds."""
    if fault == "nonces":
        return pebble(site, folder, 90 * 86400, {"PEBBLE_WFE_NONCEREJECT": "90"})
    return pebble(site, folder, 5, {"PEBBLE_WFE_NONCEREJECT": "0"})


def test_nine_of_ten_nonces_are_refused(site: Site, row: NewRow, tmp_path: Path) -> None:
    told = row(
        GROUP,
        "another authority, which refuses 90 % of the nonces",
        "site.yml says that no certificate was issued and what to look at; the old one serves",
        "A F",
    )
    old, serial = site.release(), site.ask(SERIAL)
    with Visitors(site) as visitors, authority(site, tmp_path, "nonces"):
        done = play(site, ["acme"], acme_directory=DIRECTORY)
    assert done.code != 0, done
    assert f"No certificate was issued for {site.domain}" in done.output, done
    assert site.ask(SERIAL) == serial
    check_answers(told, visitors.history, old)
    # Nothing of it is left: the next run asks nobody.
    again = play(site, ["acme"])
    assert again.code == 0, again
    assert "changed=0" in again.stdout, again


def test_the_certificate_has_expired(site: Site, row: NewRow, tmp_path: Path) -> None:
    row(
        GROUP,
        "the certificate has expired",
        "a deploy says so and goes on; site.yml has it renewed at once",
        "F",
    )
    try:
        with authority(site, tmp_path, "short"):
            taken = play(site, ["acme"], acme_directory=DIRECTORY)
            assert taken.code == 0, taken
            serial = site.ask(SERIAL)
            time.sleep(6)
            changes.good(site)
            deployed = site.invoke("deploy")
            assert deployed.code == 0, deployed
            assert "the certificate expired on" in deployed.stderr, deployed
            renewed = play(site, ["acme"], acme_directory=DIRECTORY)
            assert renewed.code == 0, renewed
            assert site.ask(SERIAL) != serial
    finally:
        # Back to the lab's authority, also for the tests that come after.
        back = play(site, ["acme"])
    assert back.code == 0, back
    assert site.get().status == 200
