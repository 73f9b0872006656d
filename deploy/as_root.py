"""Lines of shell that root runs on the droplet: Ansible logs in as who administers it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deploy import playbook
from deploy.errors import Refused
from deploy.target import Target


def shell(root: Path, target: Target, line: str) -> dict[str, Any]:
    """What Ansible's module answers of it: ``rc``, ``stdout``, ``stderr_lines``.

    Raises:
        Refused: the droplet cannot be reached.
    """
    inventory = ("--inventory", target.inventory, "--limit", target.name)
    module = ("--module-name", "ansible.builtin.shell", "--args", json.dumps({"cmd": line}))
    try:
        answer: dict[str, Any] = playbook.ask(root, "app", *inventory, "--become", *module)[
            target.name
        ]
    except playbook.NoAnswer as said:
        raise Refused(
            f"Ansible does not reach {target.name}: {said.args[-1]}", list(said.args)
        ) from None
    return answer
