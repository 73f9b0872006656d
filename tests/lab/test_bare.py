"""A bare droplet: looking changes nothing, and wrong facts are refused in seconds."""

import json
import time

import pytest

from lab import paths
from tests.lab.inventories import LOCAL_FACTS
from tests.lab.site import Site, run

# All that a playbook could have changed: packages, accounts, settings, units, what it would create.
FINGERPRINT = r"""
{ dpkg-query -W; cat /etc/passwd /etc/group /etc/shadow
  find /etc /srv /usr/local /root -type f -exec sha256sum {} +
  find /etc /srv -type l -printf '%p %l\n'
  systemctl list-unit-files --no-legend; } | sort | sha256sum
"""


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ("bad-domain", ["https://library.example.org/"]),
        ("no-email", ["site_acme_email"]),
        ("no-group", ["app"]),
    ],
)
def test_wrong_facts_stop_the_playbook_in_its_first_seconds(
    bare: Site, env: str, words: list[str]
) -> None:
    before = bare.ask(FINGERPRINT)
    begun = time.monotonic()
    done = bare.play(env=env)
    assert done.code != 0, done
    assert time.monotonic() - begun < 30
    for word in words:
        assert word in done.output, done
    assert "Traceback" not in done.output, done
    assert bare.ask(FINGERPRINT) == before


def test_check_mode_works_on_a_bare_droplet_and_changes_nothing(bare: Site) -> None:
    before = bare.ask(FINGERPRINT)
    done = bare.play("--check", "--diff", log="testbare-check")
    assert done.code == 0, done
    assert bare.ask(FINGERPRINT) == before


def test_a_deploy_is_refused_with_the_command_that_helps(bare: Site) -> None:
    before = bare.ask(FINGERPRINT)
    done = bare.invoke("deploy")
    assert done.code == 2, done
    assert "site.yml" in done.output, done
    assert "Traceback" not in done.output, done
    assert bare.ask(FINGERPRINT) == before


def test_a_new_inventory_is_all_that_the_playbook_needs(bare: Site) -> None:
    before = bare.ask(FINGERPRINT)
    words = ("--host", bare.address, "--domain", bare.domain, "--email", "you@example.org")
    new = ("invoke", "new", "fresh", *words, "--key", f"{paths.SSH_KEY}.pub")
    done = run(*new, "--json", cwd=bare.clone)
    assert done.code == 0, done
    told = json.loads(done.stdout)
    assert told["files"] == ["inventory/fresh.yml", "inventory/group_vars/fresh.yml"]
    # Nobody has logged in there from here: its key is shown, and is to be compared.
    own = bare.ask("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub").split()[1]
    assert own in told["findings"][-1]["told"]
    assert f"ssh root@{bare.address}" in told["findings"][-1]["advice"]
    # How the lab's machines are reached is no fact of the site.
    names = ("site_identity_file", "ansible_ssh_private_key_file", "ansible_ssh_common_args")
    reached = {name: LOCAL_FACTS[name] for name in names}
    facts = bare.clone / "reached.json"
    facts.write_text(json.dumps({**reached, "site_known_hosts": str(paths.KNOWN_HOSTS)}))
    done = bare.play("--check", "--extra-vars", f"@{facts.name}", env="fresh")
    assert done.code == 0, done
    assert bare.ask(FINGERPRINT) == before
    again = run(*new, cwd=bare.clone)
    assert again.code == 2, again
    assert "inventory/fresh.yml is there already" in again.output
