"""Supervised updates: Ansible is asked what is pending, and told what to install."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy import as_root, updates
from deploy.errors import NeedsYou, Refused
from deploy.host.upgrades import Upgrade
from deploy.target import Target
from deploy.updates import Updates

BIN = Path(sys.executable).parent
PLAYBOOK = "playbooks/patch.yml"
FETCH = "apt-get --quiet --quiet update || exit\n"
# A unit of its own holds the locks of the other sites: it says when it has them, and ends after two
# hours should nobody end it before.
HOLDING = "slipway-patch.service"
HOLD = (
    "systemd-run --quiet --collect --unit={unit} --service-type=notify "
    "--property=NotifyAccess=all --property=TimeoutStartSec=2h --property=RuntimeMaxSec=2h "
    "/usr/local/sbin/slipway-hold --without {app} {seconds} {who} "
    "/bin/sh -c 'systemd-notify --ready; exec sleep infinity' || "
    "{{ journalctl --sync; journalctl --unit={unit} --lines=20 --output=cat --no-pager "
    "| grep slipway-hold: | tail -n 1 >&2; exit 1; }}"
)
WAIT_SECONDS = 3600


def pending(root: Path, target: Target, fetch: bool) -> Updates:
    """What the droplet lacks.

    Args:
        fetch: fetch the package lists first.

    Raises:
        Refused: the host does not answer, or was never provisioned.
    """
    answer = as_root.shell(root, target, (FETCH if fetch else "") + updates.QUESTION)
    if answer.get("rc") != 0:
        cause = [answer.get("msg", ""), *answer.get("stderr_lines", ())]
        raise Refused(f"{target.name} does not tell its updates: {cause[-1]}", cause)
    try:
        return updates.read(answer["stdout"])
    except ValueError as error:
        raise Refused(f"{target.name}: {error}") from None


@contextmanager
def deploys_kept_away(
    root: Path, target: Target, others: Sequence[str], who: str, wait: bool
) -> Iterator[None]:
    """Hold the locks of the other sites of the droplet; the target's own is the caller's.

    Args:
        others: their names; without any there is nothing to hold.
        who: what somebody who wants to deploy one of them is told.

    Raises:
        Refused: one is being deployed, and nobody waits for it.
    """
    if not others:
        yield
        return
    seconds = WAIT_SECONDS if wait else 0
    hold = HOLD.format(unit=HOLDING, app=target.app, seconds=seconds, who=shlex.quote(who))
    answer = as_root.shell(root, target, hold)
    if answer.get("rc") != 0:
        said = answer.get("stderr_lines") or ["no word of why"]
        raise Refused(
            f"Deploys of {', '.join(others)} on {target.name} cannot be kept away: {said[-1]}. "
            "Wait for one that runs: invoke patch --wait"
        )
    try:
        yield
    finally:
        # A reboot has ended it.
        as_root.shell(root, target, f"systemctl stop {HOLDING} || :")


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
