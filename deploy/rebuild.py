"""A lost droplet: a bare one becomes it, from what is in the repository of its backups."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy import backups, stages
from deploy.console import Console
from deploy.conversation import Request
from deploy.errors import NeedsYou, Refused

BIN = Path(sys.executable).parent


def rebuild(request: Request, console: Console) -> dict[str, Any]:
    """Provision, take over the cluster and the secrets, put back uploads, deploy what was live.

    Each part can be run again: what is there already stays.

    Raises:
        Refused: nothing in the repository, or the droplet serves; the playbook says which.
        NeedsYou: a part failed; the sentence says how to go on.
    """
    root, target = request.root, request.target
    with console.phase("provision"):
        _provision(request, backup_adopt=True)
    with console.phase("uploads"):
        back = backups.run(root, target, console, "media")
    release = back["releases"].get(target.app)
    done: dict[str, Any] = {"until": back["until"], "bytes": back["bytes"], "release": None}
    if release is None:
        return done
    console.note(f"{release['id']} was live: {release['revision'][:12]} {release['subject']}")
    try:
        deployed = stages.deploy(replace(request, revision=release["revision"]), console)
    except Refused as error:
        raise NeedsYou(
            f"The data is back, and what was live cannot be deployed: {error.message}. Deploy "
            "another revision: invoke deploy --revision REVISION",
            error.detail,
        ) from None
    return {**done, "release": deployed["release"], "url": deployed["url"]}


def _provision(request: Request, **told: Any) -> None:
    inventory = ("--inventory", request.target.inventory, "--limit", request.target.name)
    argv = (BIN / "ansible-playbook", "site.yml", *inventory, "--extra-vars", json.dumps(told))
    # Standard output is for the result.
    if subprocess.run(argv, cwd=request.root, stdout=sys.stderr).returncode:
        raise NeedsYou(
            f"site.yml failed on {request.target.name}; its last task says where. Put it right, "
            "then run it again: invoke rebuild --from-backup"
        )
