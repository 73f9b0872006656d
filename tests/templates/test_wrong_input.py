"""Wrong input stops a run in its first seconds, in words, before any change."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.templates.render import ROOT

# These take nothing that could be wrong by its type.
TAKE_NOTHING = {"guard", "login"}
# What a role's dependency is told: that there is nothing to install for it.
INSTALLED = {"packages_locale": "C.UTF-8", "packages_postgres_version": "17"}
SPECS = {
    file.parent.parent.name: yaml.safe_load(file.read_text())["argument_specs"]["main"]["options"]
    for file in sorted(ROOT.glob("roles/*/meta/argument_specs.yml"))
    if file.parent.parent.name not in TAKE_NOTHING
}
# A role that needs nothing is told something wrong instead.
WRONG: dict[str, dict[str, Any]] = {
    "hardening": {"hardening_mounts": "everything"},
    "firewall": {"firewall_tcp_ports": ["http"]},
    "preflight": {"preflight_memory_mb": "much"},
}
ANSWER = "ansible_failed_result.msg | split | join(' ')"


def playbook(path: Path, inventory: Path) -> subprocess.CompletedProcess[str]:
    """One run in check mode, on this machine."""
    return subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "-i",
            str(inventory),
            str(path),
            "--check",
        ],
        cwd=ROOT,
        # YAML would fold the long lines.
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def inventory(folder: Path, values: dict[str, Any]) -> Path:
    """This machine as a droplet of an environment with these facts."""
    (folder / "group_vars").symlink_to(ROOT / "inventory" / "group_vars")
    local = {"ansible_connection": "local", "ansible_become": False}
    hosts = {"web1": {**local, **values}}
    file = folder / "hosts.yml"
    file.write_text(yaml.safe_dump({"all": {"children": {"app": {"hosts": hosts}, "db": {}}}}))
    return file


def test_a_wrong_inventory_is_told_everything_at_once(tmp_path: Path) -> None:
    hosts = inventory(
        tmp_path,
        {
            "environment_name": "test",
            "site_app": "My-Shop",
            "site_domains": ["https://Library.Example.org", "bücherei.example"],
            "site_acme_email": "admin@example.org",
            "app_config_vars": {"EMAIL_PORT": 25},
        },
    )
    done = playbook(ROOT / "site.yml", hosts)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    for sentence in (
        "Nothing was changed on web1.",
        "site_deploy_keys is not set",
        "no host in the group db",
        "site_app is 'My-Shop'",
        "write library.example.org",
        "write xn--bcherei-n2a.example",
        "app_config_vars.EMAIL_PORT is no text",
    ):
        assert sentence in said
    # No role after the first look has begun.
    assert set(re.findall(r"TASK \[(\w+) : ", said)) == {"login", "unchanged", "preflight"}
    assert "changed=0" in said


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each role says when it is told nothing, from one run over all of them."""
    folder = tmp_path_factory.mktemp("roles")
    tasks = [
        {
            "name": f"Tell {role} nothing",
            "block": [
                {
                    "name": f"Run {role}",
                    "ansible.builtin.include_role": {"name": role},
                    "vars": WRONG.get(role, {})
                    | ({} if role == "packages" else {**INSTALLED, "packages_done": [role]}),
                }
            ],
            "rescue": [
                {
                    "name": f"Keep the answer of {role}",
                    "ansible.builtin.debug": {"msg": f"ANSWER {role} {{{{ {ANSWER} }}}}"},
                }
            ],
        }
        for role in SPECS
    ]
    play = {
        "name": "All roles",
        "hosts": "localhost",
        "gather_subset": ["!all", "!min", "distribution", "hardware", "virtual", "env", "user"],
        "tasks": tasks,
    }
    file = folder / "play.yml"
    file.write_text(yaml.safe_dump([play], sort_keys=False))
    hosts = folder / "hosts.yml"
    hosts.write_text("all: {hosts: {localhost: {ansible_connection: local}}}\n")
    done = playbook(file, hosts)
    return dict(re.findall(r"ANSWER (\w+) (.*)", done.stdout))


@pytest.mark.parametrize("role", SPECS)
def test_a_role_names_what_it_was_not_told(role: str, answers: dict[str, str]) -> None:
    required = [name for name, option in SPECS[role].items() if option.get("required")]
    names = required or list(WRONG[role])
    assert "Validation of arguments failed" in answers[role]
    assert [name for name in names if name not in answers[role]] == []
