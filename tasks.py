"""The tasks of Slipway: `invoke --list` shows them. This file only composes."""

import gc
import os
import sys
from collections.abc import Mapping
from importlib import import_module

from invoke.collection import Collection

# Invoke turns bytecode off, and then each run would compile all that is imported from here on: most
# of a second.
sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
# What is imported is no garbage, and Python would look through it again and again.
gc.set_threshold(100_000)

CLI = "deploy.cli"
# What a task is called, and its function. One that others are below is what their name alone means.
TASKS = {
    "new": f"{CLI}.new:new",
    "build": f"{CLI}.release:build",
    "push": f"{CLI}.release:push",
    "collectstatic": f"{CLI}.release:collectstatic",
    "migrate": f"{CLI}.release:migrate",
    "migrate.rehearse": f"{CLI}.rehearse:rehearse",
    "plan": f"{CLI}.plan:plan",
    "deploy": f"{CLI}.release:deploy",
    "switch": f"{CLI}.release:switch",
    "rollback": f"{CLI}.release:rollback",
    "releases": f"{CLI}.releases:releases",
    "verify": f"{CLI}.releases:verify",
    "manage": f"{CLI}.operate:manage",
    "run": f"{CLI}.operate:run",
    "shell": f"{CLI}.operate:shell",
    "dbshell": f"{CLI}.operate:dbshell",
    "logs": f"{CLI}.logs:logs",
    "open": f"{CLI}.site:open_site",
    "certs": f"{CLI}.site:certs",
    "status": f"{CLI}.status:status",
    "ps": f"{CLI}.ps:show",
    "ps.restart": f"{CLI}.ps:restart",
    "ps.scale": f"{CLI}.ps:scale",
    "provision": f"{CLI}.host:provision",
    "lock": f"{CLI}.host:lock",
    "patch": f"{CLI}.patch:patch",
    "maintenance.on": f"{CLI}.maintenance:on",
    "maintenance.off": f"{CLI}.maintenance:off",
    "config": f"{CLI}.config:show",
    "config.set": f"{CLI}.config:set_",
    "config.unset": f"{CLI}.config:unset",
    "config.rotate": f"{CLI}.config:rotate",
    "backup": f"{CLI}.backup:now",
    "backup.verify": f"{CLI}.backup:verify",
    "backup.list": f"{CLI}.backup:show",
    "restore": f"{CLI}.backup:restore",
    "rebuild": f"{CLI}.backup:rebuild",
    "db": f"{CLI}.db:show",
    "db.pull": f"{CLI}.db:pull",
    "db.push": f"{CLI}.db:push",
    "db.back": f"{CLI}.db:back",
    "db.forget": f"{CLI}.db:forget",
    "db.upgrade": f"{CLI}.db_upgrade:upgrade",
    "audit": "audits.tasks:audit",
    "doctor": "doctor.tasks:doctor",
    "bench": "benchmarks.tasks:bench",
    "lab.up": "lab.tasks:up",
    "lab.down": "lab.tasks:down",
    "lab.list": "lab.tasks:list_",
    "lab.ssh": "lab.tasks:ssh",
    "lab.reboot": "lab.tasks:reboot",
}


def asked(words: list[str]) -> Mapping[str, str]:
    """The one task that was typed, which then need not wait for what the others import; or all."""
    named = [word for word in words if word in TASKS]
    if len(named) == 1 and words[0] == named[0]:
        return {named[0]: TASKS[named[0]]}
    return TASKS


def compose(tasks: Mapping[str, str]) -> Collection:
    """The collection of these tasks, with one of its own for each name that others are below."""
    whole = Collection()
    above = {name.partition(".")[0] for name in TASKS if "." in name}
    for name, where in tasks.items():
        module, _, function = where.partition(":")
        body = getattr(import_module(module), function)
        first, _, second = name.partition(".")
        if first not in above:
            whole.add_task(body, name=name)
            continue
        if first not in whole.collections:
            whole.add_collection(Collection(first))
        whole.collections[first].add_task(body, name=second or None, default=not second)
    return whole


namespace = compose(asked(sys.argv[1:]))
# And not at the end either.
gc.freeze()
