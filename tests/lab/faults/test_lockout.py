"""Who gets in: operators instead of root, and a change that would let nobody in undoes itself."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab import paths
from tests.lab.faults.conftest import NewRow
from tests.lab.inventories import hosts
from tests.lab.preparations import claim, new_site, take_down
from tests.lab.site import PREFIX, Done, Site, run

pytestmark = pytest.mark.slow

NAME = f"{PREFIX}lockout13"
PLAYBOOK = "tests/lab/playbooks/ground.yml"
# RELIABILITY: undone by itself within that time.
UNDONE_SECONDS = 60
KEPT = "sha256sum /etc/nftables.conf /etc/ssh/sshd_config.d/00-slipway.conf"


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A droplet of its own that root logs in to, with no site on it."""
    claim(NAME)
    try:
        site = new_site(NAME, "trixie", tmp_path_factory.mktemp("lockout"))
        done = play(site)
        assert done.code == 0, done
        yield site
    finally:
        take_down(NAME)


def play(site: Site, **facts: object) -> Done:
    """The ground's playbook, with these facts of the inventory."""
    known = {"ansible_host": site.address, "environment_name": site.name, **facts}
    inventory = site.clone / "inventory" / "lockout.yml"
    inventory.write_text(f"---\n{yaml.safe_dump(hosts(site.name, known))}")
    return run("ansible-playbook", "-i", str(inventory), PLAYBOOK, cwd=site.clone)


def seconds_until_let_in(site: Site, user: str = "root") -> float:
    begun = time.monotonic()
    while site.ssh("true", user=user).code != 0:
        assert time.monotonic() - begun < UNDONE_SECONDS, "nobody gets in any more"
        time.sleep(2)
    return time.monotonic() - begun


@pytest.mark.parametrize(
    ("what", "facts", "file"),
    [
        ("the firewall shuts the port of SSH", {"firewall_ssh_port": 2222}, "nftables.conf"),
        (
            "sshd lets in the deploy user alone",
            {"ssh_admin": "deploy", "ssh_allow_users": ["deploy"]},
            "00-slipway.conf",
        ),
    ],
    ids=["firewall", "sshd"],
)
def test_a_change_that_locks_out_undoes_itself(
    ground: Site, row: NewRow, what: str, facts: dict[str, object], file: str
) -> None:
    row("Access", what, "`ansible-playbook`; then a new log-in is tried until it works", "C F")
    before = ground.ask(KEPT)
    done = play(ground, **facts)
    assert done.code != 0, done
    assert f"{file} lets nobody in" in done.output, done
    seconds_until_let_in(ground)
    assert ground.ask(KEPT) == before
    # What was undone is not taken for done: the right inventory has nothing left to change.
    again = play(ground)
    assert again.code == 0, again
    assert re.search(r"\bchanged=0\b", again.stdout), again


def test_what_sshd_would_refuse_is_found_before(ground: Site, row: NewRow) -> None:
    row("Access", "the inventory lists everybody but whoever runs it", "`ansible-playbook`", "F")
    before = ground.ask(KEPT)
    done = play(ground, ssh_allow_users=["deploy"])
    assert done.code != 0, done
    assert "Add root to ssh_allow_users" in done.output, done
    assert ground.ask(KEPT) == before


def test_a_change_that_nobody_proved_is_put_back_at_boot(ground: Site, row: NewRow) -> None:
    row("Access", "power cut between the change and its proof", "the droplet boots", "B C")
    before = ground.ask(KEPT)
    ground.ask("slipway-guard arm nftables.service /etc/nftables.conf true")
    ground.ask("echo 'flush ruleset' > /etc/nftables.conf && sync")
    done = run("invoke", "lab.reboot", "--name", NAME, cwd=ground.clone)
    assert done.code == 0, done
    seconds_until_let_in(ground)
    assert ground.ask(KEPT) == before


def test_root_is_closed_once_an_operator_gets_in(ground: Site, row: NewRow) -> None:
    """Last: the droplet is not root's any more."""
    row(
        "Access",
        "operators are listed, one with a key that nobody holds",
        "`ansible-playbook`",
        "F",
    )
    key = Path(f"{paths.SSH_KEY}.pub").read_text().strip()
    stranger = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA x"
    wrong = play(ground, ansible_user="ada", site_operators={"ada": [stranger]})
    assert wrong.code != 0, wrong
    assert "ada cannot log in and use sudo yet" in wrong.output, wrong
    assert ground.ask("id -un") == "root"

    unlisted = play(ground, ansible_user="root", site_operators={"ada": [key]})
    assert unlisted.code != 0, unlisted
    assert "Ansible logs in as root" in unlisted.output, unlisted

    operators = {"ada": [key], "ben": [stranger]}
    right = play(ground, ansible_user="ada", site_operators=operators)
    assert right.code == 0, right
    assert ground.ssh("true").code != 0
    assert ground.ssh("sudo -n id -u", user="ada").stdout.strip() == "0"
    again = play(ground, ansible_user="ada", site_operators=operators)
    assert again.code == 0, again
    assert re.search(r"\bchanged=0\b", again.stdout), again

    # Who is not listed any more has neither log-in nor sudo.
    fewer = play(ground, ansible_user="ada", site_operators={"ada": [key]})
    assert fewer.code == 0, fewer
    rules = ground.ssh("sudo -n cat /etc/sudoers.d/slipway-operators", user="ada").stdout
    assert "ben" not in rules
    assert "ben" not in ground.ssh("sudo -n sshd -T | grep allowusers", user="ada").stdout
