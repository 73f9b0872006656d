"""A bare droplet: looking changes nothing, and wrong facts are refused in seconds."""

import time

import pytest

from tests.lab.site import Site

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
