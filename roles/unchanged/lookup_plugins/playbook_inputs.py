"""One digest of all that a run of the playbook is told."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible.release import __version__

DOCUMENTATION = r"""
name: playbook_inputs
short_description: One digest of all that a run of the playbook is told
description:
  - The files of roles and playbooks, the version of Ansible, and the value of every variable that
    is an input of a role (its C(meta/argument_specs.yml)). A value that needs facts of the host
    counts as it is written; the host's own part is the C(host_state) module's.
options:
  _terms:
    description: Folder of the project.
    required: true
author: The Slipway project
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ lookup('playbook_inputs', '/srv/project') }}"
"""

RETURN = r"""
_raw:
  description: The digest.
  type: list
  elements: str
"""


# The role git_push brings the deployment side to the droplet.
PARTS = ("roles/**/*", "playbooks/*", "deploy/**/*.py")
# Whether a run looks at every task changes nothing of what it leaves.
NOT_THE_HOSTS = {"unchanged_skip"}


class LookupModule(LookupBase):
    """``lookup('playbook_inputs', folder)``."""

    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[str]:
        """The digest, as a list of one."""
        root, known = Path(terms[0]), variables or {}
        hasher = hashlib.sha256(__version__.encode())
        for path in sorted(
            [
                *(file for part in PARTS for file in root.glob(part)),
                root / "site.yml",
            ]
        ):
            if path.is_file() and "__pycache__" not in path.parts:
                hasher.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
        inputs = {*_interface(root), "ansible_user", "group_names"} - NOT_THE_HOSTS
        for name in sorted(inputs & known.keys()):
            value = json.dumps(self._value(known[name]), sort_keys=True, default=str)
            hasher.update(f"{name}={value}\0".encode())
        return [hasher.hexdigest()]

    def _value(self, written: Any) -> Any:
        try:
            return self._templar.template(written)
        except AnsibleError:
            return str(written)


def _interface(root: Path) -> set[str]:
    """The inputs of all roles."""
    specs = (
        yaml.safe_load(path.read_text()) for path in root.glob("roles/*/meta/argument_specs.yml")
    )
    return {
        name
        for spec in specs
        for entry in spec["argument_specs"].values()
        for name in entry.get("options") or {}
    }
