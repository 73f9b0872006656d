"""Config vars in the inventory: any text survives, the rest of the file stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy import config_vars, facts_file
from deploy.errors import Refused

FACTS = """\
---
# The facts of staging.
environment_name: staging
site_deploy_keys:
  - ssh-ed25519 AAAA you@example.org  # yours

# What the site is told.
app_config_vars:
  A: one  # the first
  B: "two"
  C: "{{ site_domains | first }}"
"""
AWKWARD = {
    "SPACES": "  a  b ",
    "QUOTES": "'single' \"double\" `back` \\ $HOME %s #no",
    "LINES": "one\ntwo\n",
    "UNICODE": "ünï ☃ 🦊",
    "TEMPLATE": "{{ not | a_template }} {% raw %} {# no #}",
    "YES": "yes",
    "NUMBER": "0123",
    "EMPTY": "",
    "LONG": "x" * 300 + " y" * 300,
    "CONTROLS": "tab\tbell\x07return\r\n",
}


@pytest.fixture
def facts(tmp_path: Path) -> Path:
    path = facts_file.file_of(tmp_path, "staging")
    path.parent.mkdir(parents=True)
    path.write_text(FACTS)
    return path


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project's vault password, as people keep it."""
    file = tmp_path / "vault-password"
    file.write_text("correct horse\n")
    monkeypatch.setenv(config_vars.VAULT_PASSWORD, str(file))
    return file


def as_ansible_reads(facts: Path) -> Any:
    """The config vars as roles get them."""
    hosts = facts.parents[1] / "hosts.yml"
    hosts.write_text("staging: {hosts: {here: {ansible_connection: local}}}\n")
    ask = ("-m", "ansible.builtin.debug", "-a", "var=app_config_vars")
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible"), "here", "-i", hosts, *ask],
        env={
            **os.environ,
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            "ANSIBLE_LOAD_CALLBACK_PLUGINS": "true",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    (play,) = json.loads(done.stdout)["plays"]
    return play["tasks"][0]["hosts"]["here"]["app_config_vars"]


def test_any_text_reaches_ansible_as_it_is(facts: Path, vault: Path) -> None:
    secret = "s3cret {{ 1 + 1 }} '\"$\n ☃"
    before = FACTS.splitlines()
    text = config_vars.changed(facts, AWKWARD, {"API_TOKEN": secret}, ["C"])
    facts_file.write(facts, text)
    assert "s3cret" not in text
    assert as_ansible_reads(facts) == {"A": "one", "B": "two", **AWKWARD, "API_TOKEN": secret}
    assert text.splitlines()[: len(before) - 1] == before[:-1]


def test_what_is_shown_hides_secrets_and_only_them(facts: Path, vault: Path) -> None:
    text = config_vars.changed(facts, {"D": "{{ plain }}"}, {"API_TOKEN": "hidden"}, [])
    facts_file.write(facts, text)
    assert {name: (v.kind, v.text) for name, v in config_vars.listed(facts).items()} == {
        "A": ("value", "one"),
        "B": ("value", "two"),
        "C": ("expression", "{{ site_domains | first }}"),
        "D": ("value", "{{ plain }}"),
        "API_TOKEN": ("secret", None),
    }


def test_the_first_one_makes_the_list(facts: Path) -> None:
    facts.write_text("---\nenvironment_name: staging\n")
    facts_file.write(facts, config_vars.changed(facts, {"A": "b"}, {}, []))
    assert facts.read_text() == '---\nenvironment_name: staging\napp_config_vars:\n  A: "b"\n'


def test_permissions_stay(facts: Path) -> None:
    facts.chmod(0o600)
    facts_file.write(facts, "---\n")
    assert facts.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("app_config_vars: '{{ other }}'\n", "is an expression: change it there"),
        ("a: [\n", "group_vars/staging.yml is no YAML"),
        ("- a\n", "holds no variables"),
    ],
)
def test_what_cannot_be_edited(facts: Path, text: str, says: str) -> None:
    facts.write_text(text)
    with pytest.raises(Refused, match=says):
        config_vars.changed(facts, {"A": "b"}, {}, [])
    assert facts.read_text() == text


def test_what_is_not_there_cannot_be_removed(facts: Path) -> None:
    with pytest.raises(Refused, match="NONE is not set in .*; there are: A, B, C"):
        config_vars.changed(facts, {}, {}, ["NONE"])


def test_without_a_vault_password_nothing_is_encrypted(
    facts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(config_vars.VAULT_PASSWORD, raising=False)
    with pytest.raises(Refused) as refused:
        config_vars.changed(facts, {}, {"API_TOKEN": "hidden"}, [])
    assert config_vars.VAULT_PASSWORD in refused.value.message
    assert "hidden" not in refused.value.message
    assert "Traceback" not in refused.value.message


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["COLOUR"], "'COLOUR' has no value"),
        (["=blue"], "'' is no name"),
        (["THE COLOUR=blue"], "'THE COLOUR' is no name"),
        (["EMAIL_HOST_PASSWORD=x"], "EMAIL_HOST_PASSWORD sounds like a secret"),
        (["STRIPE_KEY=x"], "STRIPE_KEY sounds like a secret"),
        (["SENTRY_DSN=x"], "SENTRY_DSN sounds like a secret"),
    ],
)
def test_words_that_are_no_pairs(words: list[str], says: str) -> None:
    with pytest.raises(Refused) as refused:
        config_vars.pairs(words, plain=False)
    assert says in refused.value.message


def test_words_that_are_pairs() -> None:
    assert config_vars.pairs(["A=b=c", "KEYBOARD=", "API_KEY=x"], plain=True) == {
        "A": "b=c",
        "KEYBOARD": "",
        "API_KEY": "x",
    }
