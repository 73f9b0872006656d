"""The backups of a droplet, asked and ordered as root: by the program of the role backup."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy import as_root
from deploy.console import Console
from deploy.errors import NeedsYou, Refused, SlipwayError
from deploy.target import Target

PROGRAM = "/usr/local/sbin/slipway-backup"
NO_PROGRAM = 127


def ask(root: Path, target: Target, *words: str, failure: type[SlipwayError] = Refused) -> Any:
    """The answer of one of its verbs.

    Args:
        failure: what its own sentence is raised as.

    Raises:
        Refused: the droplet is out of reach, or has no backups.
    """
    answer = as_root.shell(root, target, shlex.join((PROGRAM, *words)))
    if answer.get("rc") == NO_PROGRAM:
        raise Refused(f"{target.name} has no backups yet. Run: ansible-playbook site.yml")
    try:
        found = json.loads(answer.get("stdout", ""))
    except ValueError:
        said = [answer.get("msg", ""), *answer.get("stderr_lines", ())]
        raise Refused(f"{target.name} does not tell of its backups: {said[-1]}", said) from None
    if isinstance(found, dict) and "error" in found:
        raise failure(found["error"]["message"], found["error"]["detail"])
    return found


def run(
    root: Path,
    target: Target,
    console: Console,
    verb: str,
    request: Mapping[str, Any] | None = None,
    failure: type[SlipwayError] = NeedsYou,
) -> dict[str, Any]:
    """Have the droplet do it, and show how it goes.

    It goes on when this process or the connection ends; Ctrl-C ends it.

    Args:
        verb: full, diff, files, verify or restore.
        failure: what its failure is raised as.

    Raises:
        Refused: it could not be begun.
    """
    ask(root, target, "begin", verb, json.dumps(request or {}))
    try:
        return _follow(root, target, console, verb, failure)
    except KeyboardInterrupt:
        as_root.shell(root, target, f"systemctl stop slipway-backup@{verb}.service")
        raise


def _follow(
    root: Path, target: Target, console: Console, verb: str, failure: type[SlipwayError]
) -> dict[str, Any]:
    offset = 0
    while True:
        try:
            told = ask(root, target, "follow", verb, str(offset))
        except Refused as error:
            raise failure(
                f"{error.message}. slipway-backup@{verb} goes on there by itself. Look there: "
                f"journalctl -u slipway-backup@{verb}",
                error.detail,
            ) from None
        offset = told["offset"]
        for event in told["events"]:
            if "note" in event:
                console.note(event["note"])
            elif "error" in event:
                raise failure(event["error"]["message"], event["error"]["detail"])
            else:
                return dict(event["done"])
        if not told["active"] and not told["events"]:
            raise failure(
                f"slipway-backup@{verb} ended on {target.name} before it was done. Look there: "
                f"journalctl -u slipway-backup@{verb} -n 50"
            )
