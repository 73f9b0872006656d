"""A release's migrations on a copy of the data, before the site meets them."""

from __future__ import annotations

from typing import Any

from deploy import backups, stages
from deploy.console import Console
from deploy.conversation import Request


def rehearse(request: Request, console: Console) -> dict[str, Any]:
    """Bring the release to the droplet, and let it migrate the newest backup in a scratch cluster.

    Returns:
        ``backup``, ``release`` and ``migrations``, each with its ``seconds``, what it ``locks``
        and which tables it has ``rewritten``. The release stays pushed, for the deploy to come.

    Raises:
        Refused: there is no backup, or no room.
        NeedsYou: a migration fails on this data.
    """
    release = stages.push(request, console)
    asked = {"app": request.target.app, "release": release["id"]}
    with console.phase("rehearse"):
        return backups.run(request.root, request.target, console, "rehearse", asked)
