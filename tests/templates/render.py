"""Renders a role's templates as a run would, by Ansible's own templating, in milliseconds."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import filter_loader, init_plugin_loader
from ansible.template import Templar, trust_as_template

ROOT = Path(__file__).resolve().parents[2]
FACTS = {
    "architecture": "x86_64",
    "distribution": "Debian",
    "distribution_release": "trixie",
    "distribution_version": "13.2",
    "env": {},
    "memtotal_mb": 2000,
    "processor_vcpus": 2,
    "user_id": "root",
    "virtualization_role": "guest",
    "virtualization_type": "kvm",
}
HOST = {"inventory_hostname": "web1", "ansible_host": "192.0.2.7", "ansible_managed": "Managed"}
# What the environment's own file would say.
SITE = {
    "environment_name": "test",
    "site_domains": ["library.example.org", "www.library.example.org"],
    "site_deploy_keys": ["ssh-ed25519 AAAA test"],
    "site_acme_email": "admin@example.org",
}


@functools.cache
def _plugins() -> None:
    init_plugin_loader()
    for folder in sorted(ROOT.glob("roles/*/filter_plugins")):
        filter_loader.add_directory(str(folder))


@functools.cache
def _load(path: Path) -> dict[str, Any]:
    """The variables of a file, trusted as Ansible trusts those of a role or an inventory."""
    if not path.exists():
        return {}
    return dict(DataLoader().load_from_file(str(path), trusted_as_template=True) or {})


def variables(role: str, **changes: Any) -> dict[str, Any]:
    """What the tasks of a role see, with the changes that a test makes."""
    folder = ROOT / "roles" / role
    return {
        **_load(folder / "defaults" / "main.yml"),
        "ansible_facts": FACTS,
        "ansible_check_mode": False,
        **HOST,
        **_load(ROOT / "inventory" / "group_vars" / "all.yml"),
        **SITE,
        **_load(folder / "vars" / "main.yml"),
        **changes,
    }


def value(role: str, expression: str, **changes: Any) -> Any:
    """What an expression or a variable is worth for the tasks of a role."""
    _plugins()
    templar = Templar(DataLoader(), variables(role, **changes))
    return templar.template(trust_as_template("{{ " + expression + " }}"))


def render(role: str, template: str, **changes: Any) -> str:
    """The text of a role's template, named as under its templates/ folder."""
    _plugins()
    source = (ROOT / "roles" / role / "templates" / template).read_text()
    templar = Templar(DataLoader(), variables(role, **changes))
    return str(templar.template(trust_as_template(source)))
