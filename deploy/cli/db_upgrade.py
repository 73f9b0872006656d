"""invoke db.upgrade: a newer major version of PostgreSQL."""

from __future__ import annotations

from dataclasses import asdict

from deploy import upgrading
from deploy.cli.db import confirm
from deploy.cli.task import ENVIRONMENT, ROOT, task
from deploy.console import Console
from deploy.conversation import Request
from deploy.errors import Refused
from deploy.inventory import read_target
from deploy.upgrading import State


@task(
    help={
        "rehearse": "upgrade a copy, say how long it took, and stop there",
        "back": "use the older cluster again, as it was when it was upgraded",
        "finish": "drop the cluster that is not in use, and its packages",
        "yes": "do not ask",
        "json": "print one JSON document; without --yes it is the plan, and nothing is changed",
    }
)
def upgrade(
    console: Console,
    env: str = ENVIRONMENT,
    rehearse: bool = False,
    back: bool = False,
    finish: bool = False,
    yes: bool = False,
    wait: bool = False,
    json: bool = False,
) -> None:
    """Upgrade PostgreSQL to the major version that the inventory wants, rehearsed on a copy first.

    Example: invoke db.upgrade --env production

    The copy is upgraded while the site serves, which tells how long visitors will be kept out. The
    older cluster is kept until --finish, and --back goes back to it.
    """
    request = Request(ROOT, read_target(ROOT, env), "invoke db.upgrade", wait=wait)
    if [rehearse, back, finish].count(True) > 1:
        raise Refused("Choose one of --rehearse, --back and --finish")
    with console.phase("plan"):
        state = upgrading.look(ROOT, request.target)
    if back:
        _go_back(console, request, state, yes)
    elif finish:
        _finish(console, request, state, yes)
    else:
        _upgrade(console, request, state, rehearse, yes, json)


def _upgrade(
    console: Console, request: Request, state: State, rehearse: bool, yes: bool, json: bool
) -> None:
    name = request.target.environment
    upgrading.check_upgrade(state, name)
    if json and not yes and not rehearse:
        console.result("", {**asdict(state), "changed": False})
        return
    # Each time: what was measured for another size of the database says nothing.
    state = upgrading.rehearse(request, console)
    if rehearse:
        console.result("\n".join(state.lines()), {**asdict(state), "changed": False})
        return
    for line in state.lines():
        console.note(line)
    if not yes:
        confirm(f"Upgrade PostgreSQL of {name}?", "invoke db.upgrade --yes")
    done = upgrading.upgrade(request, console, state)
    told = (
        f"{name} has PostgreSQL {done['to']}; visitors were kept out for {done['seconds']} s. "
        f"{done['from']} is kept: invoke db.upgrade --back, or invoke db.upgrade --finish. "
        "Now run: ansible-playbook site.yml"
    )
    console.result(told, {"changed": True, **done, "rehearsal": state.rehearsal})


def _go_back(console: Console, request: Request, state: State, yes: bool) -> None:
    name = request.target.environment
    older = upgrading.check_back(state, name)
    console.note(f"back       to PostgreSQL {older}, as it was when it was upgraded")
    console.note(f"lost       {state.written} rows that were written since")
    if not yes:
        confirm(f"Go back on {name}?", "invoke db.upgrade --back --yes")
    done = upgrading.back(request, console, state)
    told = (
        f"{name} has PostgreSQL {older} again; {state.live} is kept, with what was written to it. "
        f'To stay with {older}, write site_postgres_version: "{older}"'
    )
    console.result(told, {"changed": True, **done, "written": state.written})


def _finish(console: Console, request: Request, state: State, yes: bool) -> None:
    name = request.target.environment
    if not state.kept:
        told = f"{name} has PostgreSQL {state.live} and nothing beside it"
        console.result(told, {"changed": False, "dropped": []})
        return
    versions = ", ".join(map(str, state.kept))
    if not yes:
        confirm(f"Drop PostgreSQL {versions} of {name}?", "invoke db.upgrade --finish --yes")
    upgrading.finish(request, console)
    told = f"PostgreSQL {versions} is gone; {name} has {state.live}"
    console.result(told, {"changed": True, "dropped": list(state.kept)})
