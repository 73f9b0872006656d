"""fail2ban: an address that guesses at log-ins is shut out, and no other."""

import time
from collections.abc import Iterator

import pytest

from tests.lab.site import Site

pytestmark = pytest.mark.slow

# Twice what is too many, so that one line that is read late does not matter; no flood.
FORMS = 20
LOGINS = 8
PATIENCE = 30.0


@pytest.fixture
def attacker(debian12: Site, debian13: Site) -> Iterator[Site]:
    """Another droplet, with an address of its own; forgiven after the test."""
    yield debian12
    debian13.ask(f"fail2ban-client unban {debian12.address}")


def until_banned(site: Site, jail: str, address: str) -> None:
    begun = time.monotonic()
    while address not in site.ask(f"fail2ban-client status {jail}"):
        assert time.monotonic() - begun < PATIENCE, site.ask(f"fail2ban-client status {jail}")
        time.sleep(0.5)


def test_who_guesses_passwords_of_the_site_is_shut_out(debian13: Site, attacker: Site) -> None:
    assert debian13.invoke("deploy").code == 0
    curl = (
        f"curl --silent --insecure --max-time 5 --output /dev/null "
        f"--resolve {debian13.domain}:443:{debian13.address}"
    )
    page = f"https://{debian13.domain}/"
    assert attacker.ssh(f"{curl} {page}").code == 0
    form = f"{curl} --data 'username=a&password=b' {page}accounts/login/"
    attacker.ssh(f"for i in $(seq {FORMS}); do {form}; done")
    until_banned(debian13, "locallibrary-login", attacker.address)
    assert attacker.ssh(f"{curl} {page}").code != 0
    # Everybody else is served, and the same address by what it did not abuse.
    assert debian13.get().status == 200
    assert attacker.ssh(f"echo > /dev/tcp/{debian13.address}/22").code == 0


def test_who_guesses_at_ssh_is_shut_out(debian13: Site, attacker: Site) -> None:
    knock = (
        # Who is banned in the middle of a log-in hears nothing more.
        "timeout 10 ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new "
        f"nobody@{debian13.address} true"
    )
    attacker.ssh(f"for i in $(seq {LOGINS}); do {knock}; done")
    until_banned(debian13, "sshd", attacker.address)
    assert attacker.ssh(f"timeout 5 bash -c 'echo > /dev/tcp/{debian13.address}/22'").code != 0
    assert debian13.ask("id -un") == "root"


def test_the_operator_s_own_address_is_never_banned(debian13: Site) -> None:
    ignored = debian13.ask("fail2ban-client get sshd ignoreip")
    assert "10.87.0.1" in ignored.replace("|", " ").replace("-", " ").split()
