"""invoke patch: updates under supervision."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

from deploy import patching, questions
from deploy.cli.task import ENVIRONMENT, ROOT, task
from deploy.console import Console
from deploy.conversation import Request
from deploy.errors import Refused
from deploy.host.upgrades import Upgrade
from deploy.inventory import read_target
from deploy.updates import Updates


@task(
    help={
        "all_packages": "every newer package, not those with security updates alone",
        "reboot": "reboot when all is installed, and wait until the site answers",
        "yes": "do not ask",
        "json": "print one JSON document; without --yes it is the plan, and nothing is changed",
    }
)
def patch(
    console: Console,
    env: str = ENVIRONMENT,
    all_packages: bool = False,
    reboot: bool = False,
    yes: bool = False,
    wait: bool = False,
    json: bool = False,
) -> None:
    """Install updates as a plan that you see first, and restart what used what they replaced.

    Example: invoke patch --env production
    """
    target = read_target(ROOT, env)
    with console.phase("plan"):
        found = patching.pending(ROOT, target, fetch=True)
    chosen = found.upgrades if all_packages else found.security
    plan = _facts(found, chosen, reboot)
    idle = not (chosen or found.services or reboot)
    if idle or (json and not yes):
        console.result("\n".join(_lines(found, chosen, reboot)), {**plan, "changed": False})
        return
    for line in _lines(found, chosen, reboot):
        console.note(line)
    if not yes:
        _confirm(target.name)
    # Deploys stay out until it is done, and it waits for none without --wait.
    with questions.locked(Request(ROOT, target, "invoke patch", wait=wait), console) as facts:
        if facts["others"]:
            console.note(f"deploys of {', '.join(facts['others'])} are kept away as well")
        who = f"invoke patch of {target.app}"
        with patching.deploys_kept_away(ROOT, target, facts["others"], who, wait):
            deployed = facts["current"] is not None
            patching.install(ROOT, target, chosen, reboot, deployed)
    left = patching.pending(ROOT, target, fetch=False)
    told = [f"{len(chosen)} packages upgraded", *_left(left)]
    console.result("\n".join(told), {**plan, "changed": True, "left": _facts(left, (), False)})


def _lines(found: Updates, chosen: tuple[Upgrade, ...], reboot: bool) -> list[str]:
    """The plan, for people."""
    others = len(found.upgrades) - len(chosen)
    lines = [f"upgrade   {upgrade}" for upgrade in chosen] or ["no package to upgrade"]
    if others:
        lines.append(f"left      {others} without security updates; --all-packages takes them")
    lines += [f"restart   {service}: it uses replaced libraries" for service in found.services]
    if reboot:
        lines.append(f"reboot    {found.reboot or 'because you say so'}")
    elif found.reboot:
        lines.append(f"pending   a reboot for {found.reboot}; --reboot does it")
    return lines


def _left(found: Updates) -> list[str]:
    """What is as it was, for people."""
    lines = [f"{service} still uses replaced libraries" for service in found.services]
    if found.services or found.reboot:
        lines.append(
            f"A reboot takes the rest in: invoke patch --reboot ({found.reboot or 'old libraries'})"
        )
    return [*lines, *(f"{unit} failed. Look: systemctl status {unit}" for unit in found.failed)]


def _facts(found: Updates, chosen: tuple[Upgrade, ...], reboot: bool) -> dict[str, Any]:
    return {
        "upgrade": [asdict(upgrade) for upgrade in chosen],
        "restart": found.services,
        "reboot": reboot,
        "reboot_pending": found.reboot,
        "failed": found.failed,
    }


def _confirm(name: str) -> None:
    if not sys.stdin.isatty():
        raise Refused("Nobody is here to ask. Look at the plan, then run: invoke patch --yes")
    if input(f"Do this on {name}? [y/N] ").strip().lower() not in ("y", "yes"):
        raise Refused("Nothing was changed")
