"""The inventory, read by the real Ansible, becomes a target."""

import json
import sys
from pathlib import Path

import pytest

from deploy.errors import Refused
from deploy.inventory import read_target
from deploy.target import parse

ROOT = Path(__file__).parents[2]
FACTS: dict[str, object] = {
    "environment": "staging",
    "app": "mysite",
    "host": "203.0.113.10",
    "port": "2222",
    "user": "deploy",
    "admin": "root",
    "identity_file": "",
    "known_hosts": "",
    "root": "/srv/mysite",
    "domain": "mysite.example.org",
    "domains": ["mysite.example.org", "www.mysite.example.org"],
    "database": "postgresql",
    "live_data": True,
    "ready_path": "/readyz",
    "pages": ["/"],
    "tls_profile": "intermediate",
    "root_certificate": "",
    "source": "",
    "project": "app",
    "revision": "",
    "build_env": {"NODE_ENV": "production"},
    "accepted_checks": {},
    "procfile": {},
    "extra_packages": [],
    "addons": [],
    "keep_releases": 5,
}
ONE = "app:\n  hosts:\n    web1:\n      ansible_host: 203.0.113.10\n"


def test_a_target_is_what_the_deploy_side_needs_of_it() -> None:
    target = parse("web1", FACTS, "inventory/staging.yml")
    assert (target.name, target.port, target.domain) == ("web1", 2222, "mysite.example.org")


@pytest.mark.parametrize("missing", [["host"], ["root", "project"]])
def test_all_keys_that_are_missing_are_named_at_once(missing: list[str]) -> None:
    values = {key: value for key, value in FACTS.items() if key not in missing}
    with pytest.raises(Refused, match=f"of web1 lacks {', '.join(missing)}"):
        parse("web1", values, "inventory/staging.yml")


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("inventory")
    (root / "ansible.cfg").write_text((ROOT / "ansible.cfg").read_text())
    facts = {"deploy_target": {**FACTS, "host": "{{ ansible_host }}", "port": "{{ 2000 + 222 }}"}}
    (root / "inventory" / "group_vars").mkdir(parents=True)
    (root / "inventory" / "group_vars" / "all.yml").write_text(json.dumps(facts))
    (root / "inventory" / "good.yml").write_text(ONE)
    (root / "inventory" / "two.yml").write_text(ONE + "    web2:\n")
    (root / "inventory" / "nobody.yml").write_text("db:\n  hosts:\n    web1:\n")
    return root


def test_ansible_renders_it_once_until_the_inventory_changes(
    room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = read_target(room, "good")
    assert target == parse("web1", {**FACTS, "host": "203.0.113.10"}, "inventory/good.yml")
    # No Ansible is to be found there.
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert read_target(room, "good") == target
    (room / "inventory" / "good.yml").write_text(ONE.replace("113.10", "113.11"))
    with pytest.raises(FileNotFoundError, match="/nowhere/ansible"):
        read_target(room, "good")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ("prod", "No environment prod (inventory/prod.yml); there are: good, nobody, two"),
        ("nobody", "inventory/nobody.yml has no host in the group app. The smallest that works:"),
        ("two", "inventory/two.yml has 2 hosts in the group app (web1, web2), and a deploy goes"),
    ],
)
def test_an_inventory_that_leads_nowhere_is_refused(
    room: Path, environment: str, said: str
) -> None:
    with pytest.raises(Refused) as refused:
        read_target(room, environment)
    assert refused.value.message.startswith(said)
