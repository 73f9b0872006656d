"""site.yml on both Debians: what it makes, and that a second run changes nothing."""

import json
import re
import shutil
import time

import pytest

from tests.lab.preparations import SUITES, Provisioned
from tests.lab.site import Done, Site

both = pytest.mark.parametrize("provisioned", SUITES, indirect=True)


def recap(done: Done) -> dict[str, int]:
    """The counts of Ansible's last line: ok, changed, unreachable, failed, ..."""
    return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", done.stdout)}


@both
def test_a_bare_droplet_is_provisioned(provisioned: Provisioned) -> None:
    assert provisioned.first.code == 0, provisioned.first
    assert recap(provisioned.first)["changed"] > 0


@both
def test_a_second_run_changes_nothing(provisioned: Provisioned) -> None:
    assert provisioned.second.code == 0, provisioned.second
    assert recap(provisioned.second)["changed"] == 0, provisioned.second


@both
def test_the_certificate_was_issued_for_every_domain(provisioned: Provisioned) -> None:
    """get() verifies it against the ACME server's root. Here: who issued it, for which names."""
    site = provisioned.site
    answer = site.get(host=f"www.{site.domain}")
    issuer = dict(pair[0] for pair in answer.certificate["issuer"])
    assert issuer["commonName"].startswith("Pebble Intermediate CA")
    names = {name for kind, name in answer.certificate["subjectAltName"] if kind == "DNS"}
    assert names == {site.domain, f"www.{site.domain}"}


@both
def test_http_leads_to_https(provisioned: Provisioned) -> None:
    site = provisioned.site
    answer = site.ask(
        f"curl -s -o /dev/null -w '%{{http_code}} %{{redirect_url}}' http://{site.domain}/"
    )
    assert answer == f"301 https://{site.domain}/"


@both
def test_no_unit_has_failed(provisioned: Provisioned) -> None:
    assert provisioned.site.ask("systemctl --failed --no-legend --plain") == ""


@both
def test_postgresql_has_no_password_and_listens_nowhere(provisioned: Provisioned) -> None:
    site = provisioned.site
    with_password = "SELECT rolname FROM pg_authid WHERE rolpassword IS NOT NULL"
    assert site.ask(f'runuser -u postgres -- psql -Atc "{with_password}"') == ""
    assert site.ask("runuser -u postgres -- psql -Atc 'SHOW listen_addresses'") == ""
    listening = site.ask("ss -Hltn")
    assert not re.search(r":5432\b", listening), listening


@both
def test_only_ssh_and_the_web_can_be_reached(provisioned: Provisioned) -> None:
    listening = provisioned.site.ask("ss -Hltn | awk '{print $4}'").split()
    outside = {port for port in map(port_of, listening) if port}
    assert outside == {22, 80, 443}


def port_of(address: str) -> int:
    """The port when the address is not the loopback's, else 0."""
    host, _, port = address.rpartition(":")
    return 0 if host.startswith(("127.", "[::1]")) else int(port)


@both
def test_the_deploy_user_may_run_its_two_helpers_and_nothing_else(provisioned: Provisioned) -> None:
    site = provisioned.site
    allowed = site.ssh("sudo -n -l", user="deploy")
    commands = re.findall(r"NOPASSWD: (.*)", allowed.stdout)
    helpers = {"/usr/local/sbin/locallibrary-unit", "/usr/local/sbin/locallibrary-manage"}
    assert {part.strip() for line in commands for part in line.split(",")} == helpers, allowed


def test_a_renewed_certificate_is_taken_into_use_without_a_restart(debian13: Site) -> None:
    def serial() -> str:
        return str(debian13.get().certificate["serialNumber"])

    before, nginx = serial(), debian13.ask("systemctl show nginx -P MainPID")
    renew = "certbot renew --force-renewal --no-random-sleep-on-renew"
    debian13.ask(f"export $(systemctl show certbot -P Environment); {renew}")
    # A reload is asked for, not waited for: the old workers may take a last connection.
    patience = time.monotonic() + 10
    while serial() == before and time.monotonic() < patience:
        time.sleep(0.2)
    assert serial() != before
    assert debian13.ask("systemctl show nginx -P MainPID") == nginx


def test_a_whole_run_prepares_the_next_deploy_and_the_next_run(debian13: Site) -> None:
    kept = debian13.clone / ".slipway"
    for folder in ("targets", "platforms"):
        shutil.rmtree(kept / folder)
    assert debian13.play("-e", "unchanged_skip=false").code == 0
    (platform,) = (kept / "platforms").iterdir()
    python = "import platform as p, json; print(json.dumps([p.python_version(), p.machine()]))"
    version, machine = json.loads(debian13.ask(f"/usr/bin/python3 -c '{python}'"))
    told = {"python": version.rpartition(".")[0], "machine": machine}
    assert json.loads(platform.read_text()) == told
    # Another name of the target would be a second file.
    (target,) = (kept / "targets").iterdir()
    assert debian13.invoke("deploy").code == 0
    assert [*(kept / "targets").iterdir()] == [target]

    done = debian13.play()
    assert f"{debian13.name} is as the run of " in " ".join(done.stdout.split()), done
    assert done.code == 0, done
    assert recap(done)["changed"] == 0, done
    # Of about a hundred tasks.
    assert recap(done)["ok"] < 12, done


@pytest.mark.slow
def test_what_somebody_changed_is_named_and_put_right(debian13: Site) -> None:
    whole = debian13.play("-e", "unchanged_skip=false")
    assert whole.code == 0, whole
    # A check looks at every task.
    checked = debian13.play("--check")
    assert recap(checked)["ok"] * 2 > recap(whole)["ok"], checked
    debian13.ask("chmod 777 /etc/nginx/nginx.conf && systemctl stop fail2ban")
    done = debian13.play()
    assert done.code == 0, done
    told = " ".join(done.stdout.split())
    assert "/etc/nginx/nginx.conf" in told.split("changed: ", 1)[1][:200], done
    assert "unit fail2ban.service" in told, done
    assert debian13.ask("stat -c %a /etc/nginx/nginx.conf") == "600"
    assert debian13.ask("systemctl is-active fail2ban") == "active"
