"""Supervised updates: Ansible is asked what is pending, and told what to install."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from deploy import playbook, updates
from deploy.errors import NeedsYou, Refused
from deploy.host.upgrades import Upgrade
from deploy.target import Target
from deploy.updates import Updates

BIN = Path(sys.executable).parent
PLAYBOOK = "playbooks/patch.yml"
FETCH = "apt-get --quiet --quiet update || exit\n"


def pending(root: Path, target: Target, fetch: bool) -> Updates:
    """What the droplet lacks.

    Args:
        fetch: fetch the package lists first.

    Raises:
        Refused: the host does not answer, or was never provisioned.
    """
    inventory = ("--inventory", target.inventory, "--limit", target.name)
    question = json.dumps({"cmd": (FETCH if fetch else "") + updates.QUESTION})
    module = ("--module-name", "ansible.builtin.shell", "--args", question)
    try:
        answer = playbook.ask(root, "app", *inventory, "--become", *module)[target.name]
    except playbook.NoAnswer as said:
        raise Refused(
            f"Ansible does not reach {target.name}: {said.args[-1]}", list(said.args)
        ) from None
    if answer.get("rc") != 0:
        cause = [answer.get("msg", ""), *answer.get("stderr_lines", ())]
        raise Refused(f"{target.name} does not tell its updates: {cause[-1]}", cause)
    try:
        return updates.read(answer["stdout"])
    except ValueError as error:
        raise Refused(f"{target.name}: {error}") from None


def install(
    root: Path, target: Target, chosen: Iterable[Upgrade], reboot: bool, deployed: bool
) -> None:
    """Upgrade, start again what used what was replaced, reboot if asked; the site answers again.

    Args:
        deployed: whether there is a site to ask.

    Raises:
        NeedsYou: the playbook failed.
    """
    told = {
        "patch_packages": [f"{upgrade.name}={upgrade.new}" for upgrade in chosen],
        "patch_reboot": reboot,
        "patch_url": f"https://{target.domain}/" if deployed else "",
    }
    inventory = ("--inventory", target.inventory, "--limit", target.name)
    argv = (BIN / "ansible-playbook", PLAYBOOK, *inventory, "--extra-vars", json.dumps(told))
    # Standard output is for the result.
    if subprocess.run(argv, cwd=root, stdout=sys.stderr).returncode:
        raise NeedsYou(
            f"{PLAYBOOK} failed on {target.name}; its last task says where. Look: invoke status, "
            "then run it again: invoke patch"
        )
