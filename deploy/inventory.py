"""The only reader of Ansible on the deploy side: an environment's name becomes a Target."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from deploy import playbook
from deploy.errors import Refused
from deploy.target import Target, parse

GROUP = "app"
VARIABLE = "deploy_target"
EXAMPLE = """\
app:
  hosts:
    web1:
      ansible_host: 203.0.113.10
db:
  hosts:
    web1:"""


def read_target(root: Path, environment: str) -> Target:
    """The target of ``inventory/<environment>.yml``.

    Ansible renders it (about a second); the answer is kept until a file of the inventory changes.

    Raises:
        Refused: no such environment, no host in the group ``app``, more than one, or variables
            that do not render.
    """
    path = root / "inventory" / f"{environment}.yml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yml"))) or "none"
        raise Refused(f"No environment {environment} (inventory/{path.name}); there are: {known}")
    kept = root / ".slipway" / "targets" / f"{_fingerprint(root, environment)}.json"
    if kept.exists():
        hosts = json.loads(kept.read_text())
    else:
        hosts = _render(root, path)
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft = kept.with_name(f".{kept.name}.{os.getpid()}")
        draft.write_text(json.dumps(hosts))
        draft.rename(kept)
    if len(hosts) > 1:
        raise Refused(
            f"inventory/{path.name} has {len(hosts)} hosts in the group {GROUP} "
            f"({', '.join(sorted(hosts))}), and a deploy goes to one. Keep one in the group"
        )
    ((name, values),) = hosts.items()
    return parse(name, values, f"inventory/{path.name}")


def digest(root: Path) -> str:
    """A name for the inventory's files, the same on each machine."""
    hasher = hashlib.sha256()
    for path in sorted(p for p in (root / "inventory").rglob("*") if p.is_file()):
        hasher.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return hasher.hexdigest()[:24]


def _fingerprint(root: Path, environment: str) -> str:
    """Changes with whatever the rendering could depend on."""
    hasher = hashlib.sha256(f"{environment}\0{root}\0{digest(root)}".encode())
    for path in (root / "ansible.cfg", Path(__file__)):
        if path.is_file():
            hasher.update(f"{path}\0".encode() + path.read_bytes() + b"\0")
    return hasher.hexdigest()[:24]


def _render(root: Path, path: Path) -> dict[str, Any]:
    """``{host: deploy_target}`` as Ansible renders it, without any connection."""
    question = ("--module-name", "ansible.builtin.debug", "--args", f"var={VARIABLE}")
    try:
        answers = playbook.ask(root, GROUP, "--inventory", path, *question)
    except playbook.NoAnswer as said:
        raise Refused(
            f"Ansible cannot read inventory/{path.name}: {said.args[-1]}", list(said.args)
        ) from None
    if not answers:
        raise Refused(
            f"inventory/{path.name} has no host in the group {GROUP}. The smallest that works:",
            EXAMPLE.splitlines(),
        )
    for host, answer in answers.items():
        if not isinstance(answer.get(VARIABLE), dict):
            cause = answer.get("msg") or answer.get(VARIABLE)
            raise Refused(f"{VARIABLE} of {host} in inventory/{path.name} does not render: {cause}")
    return {host: answer[VARIABLE] for host, answer in answers.items()}
