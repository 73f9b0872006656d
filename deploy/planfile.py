"""A plan as a file: what a deploy is held to, and whether the world is still as it was."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from deploy.errors import Refused

FORMAT = 1
OPTIONAL = "roles"
NOTHING = "nothing"


@dataclass(frozen=True)
class World:
    """What a deploy meets.

    ``live`` is the id of the live release, "" for none; ``config`` the version of the config vars;
    ``migrations`` those that the database does not have.
    """

    site: str
    host: str
    live: str
    revision: str
    artifact: str
    config: str
    migrations: tuple[str, ...]


@dataclass(frozen=True)
class Plan(World):
    """What a deploy met when the plan was made.

    ``inventory`` is a digest of its files; ``roles`` a digest of what site.yml would change on the
    host, "" for nothing, None when it was not asked.
    """

    environment: str
    inventory: str
    roles: str | None
    made_at: str
    made_by: str


def write(path: Path, plan: Plan) -> None:
    """Write it whole, or not at all.

    Raises:
        Refused: there is no such folder, or nothing can be written there.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_text(json.dumps({"format": FORMAT, **asdict(plan)}, indent=2) + "\n")
        draft.replace(path)
    except OSError as error:
        raise Refused(f"The plan cannot be written to {path}: {error.strerror}") from None


def read(path: Path) -> Plan:
    """A plan that :func:`write` wrote.

    Raises:
        Refused: there is no such file, or it is something else.
    """
    again = f"Make one: invoke plan --out {path}"
    try:
        values = json.loads(path.read_text())
    except OSError as error:
        raise Refused(f"The plan {path} cannot be read: {error.strerror}. {again}") from None
    except ValueError:
        raise Refused(f"{path} is no plan: it is not JSON. {again}") from None
    if not isinstance(values, dict) or "format" not in values:
        raise Refused(f"{path} is no plan. {again}")
    if values.pop("format") != FORMAT:
        raise Refused(f"{path} is a plan of another version of Slipway. {again}")
    known = [field.name for field in fields(Plan)]
    wrong = [name for name in known if not _fits(name, values.get(name))]
    wrong += sorted({*values} - {*known})
    if wrong:
        raise Refused(f"{path} is no whole plan: see {', '.join(map(ascii, wrong))}. {again}")
    return Plan(**{**values, "migrations": tuple(values["migrations"])})


def elsewhere(plan: Plan, environment: str, inventory: str) -> str | None:
    """Why the plan is not one for this environment as it is now, or None.

    Args:
        inventory: the digest of its files now.
    """
    if plan.environment != environment:
        return (
            f"The plan is for {plan.environment}, and this is {environment}. Say which you mean "
            f"with --env {plan.environment}"
        )
    if plan.inventory != inventory:
        return _moved(plan, ["the inventory was changed"])
    return None


def moved(plan: Plan, now: World) -> str | None:
    """A sentence on everything that a deploy would do otherwise than the plan says, or None."""
    causes = []
    if (now.site, now.host) != (plan.site, plan.host):
        causes.append(f"it was made for {plan.site} on {plan.host}")
    if now.live != plan.live:
        causes.append(f"{now.live or NOTHING} is live, and was {plan.live or NOTHING}")
    if now.config != plan.config:
        causes.append(f"the config vars are of version {now.config}, and were of {plan.config}")
    if now.artifact != plan.artifact:
        causes.append(
            f"{now.revision[:7]} builds to another artifact, {now.artifact[:12]} instead of "
            f"{plan.artifact[:12]}"
        )
    if now.migrations != plan.migrations:
        causes.append(
            f"the migrations to apply are {', '.join(now.migrations) or 'none'}, and were "
            f"{', '.join(plan.migrations) or 'none'}"
        )
    return _moved(plan, causes) if causes else None


def unprovisioned(plan: Plan) -> str:
    """Why a deploy cannot follow the plan: it changes no host."""
    return (
        f"The plan of {plan.made_at[:16]} has changes of the host, which a deploy does not make. "
        "Run: ansible-playbook site.yml, then plan again"
    )


def _moved(plan: Plan, causes: list[str]) -> str:
    return (
        f"The plan that {plan.made_by} made at {plan.made_at[:16]} no longer holds: "
        f"{'; '.join(causes)}. Nothing was changed. See what is to be done now: invoke plan"
    )


def _fits(name: str, value: Any) -> bool:
    """Of the right kind, and fit to be shown."""
    if name == "migrations":
        return isinstance(value, list) and all(_fits("", one) for one in value)
    return (value is None and name == OPTIONAL) or (isinstance(value, str) and value.isprintable())
