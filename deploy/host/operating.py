"""What a controller may ask for in a conversation, by the names that it has on the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from deploy.host import audit, candidate, logs, maintenance, operations, planning, reading
from deploy.host.certificates import certificates
from deploy.host.context import Context
from deploy.host.history import history
from deploy.host.processes import processes
from deploy.host.restarting import restart, scale
from deploy.host.rolling import rollback
from deploy.host.settling import settle, survey
from deploy.host.status import status
from deploy.host.verifying import verify
from deploy.host.wire import Wire


def operate(ctx: Context, wire: Wire, command: Mapping[str, Any]) -> Any:
    """Do what a command asks for, and return what the controller is answered."""
    name = command["do"]
    if name == "push":
        return operations.push(ctx, wire, command["bytes"], command["built_by"])
    if name == "begin":
        return candidate.begin(ctx, wire, command["bytes"], command["built_by"])
    if name == "packages":
        return operations.packages(ctx, wire, command["bytes"])
    if name == "plan":
        return planning.foresee(ctx, wire, command["bytes"], command["packages"])
    with wire.watch(gone_too=name == "logs"):
        return _OPERATIONS[name](ctx, command)


_OPERATIONS: Mapping[str, Callable[[Context, Mapping[str, Any]], Any]] = {
    "seal": lambda ctx, command: candidate.seal(ctx),
    "withdraw": lambda ctx, command: candidate.withdraw(ctx),
    "collectstatic": lambda ctx, command: operations.collectstatic(ctx, command["release"]),
    "migrate": lambda ctx, command: operations.migrate_to(
        ctx, command["release"], command["allow_breaking"]
    ),
    "stage": lambda ctx, command: operations.stage_only(ctx, command["release"]),
    "activate": lambda ctx, command: operations.go_live(ctx, command["release"]),
    "rollback": lambda ctx, command: rollback(
        ctx, command["release"], command["reverse"], command["restore"]
    ),
    "release": lambda ctx, command: reading.chosen(ctx, command["name"]).to_json(),
    "restored": lambda ctx, command: audit.append(
        ctx.layout, audit.RESTORED, "", who=ctx.who, to=command["to"], kept=command["kept"]
    ),
    "restore point": lambda ctx, command: reading.restore_point(ctx, command["release"]),
    "logs": lambda ctx, command: logs.logs(ctx, command),
    "ps": lambda ctx, command: processes(ctx),
    "restart": lambda ctx, command: restart(ctx, command["process"]),
    "scale": lambda ctx, command: scale(ctx),
    "certs": lambda ctx, command: certificates(ctx),
    "holdings": lambda ctx, command: reading.holdings(ctx),
    "releases": lambda ctx, command: reading.releases(ctx),
    "history": lambda ctx, command: history(ctx),
    "judge": lambda ctx, command: planning.judge(ctx, command["release"], command["remove"]),
    "status": lambda ctx, command: status(ctx),
    "verify": lambda ctx, command: verify(ctx),
    "survey": lambda ctx, command: survey(ctx),
    "settle": lambda ctx, command: settle(ctx, command["came_from"], command["kept"]),
    "maintenance on": lambda ctx, command: maintenance.begin(
        ctx, command["message"], command["allow"]
    ),
    "maintenance off": lambda ctx, command: maintenance.end(ctx),
}
