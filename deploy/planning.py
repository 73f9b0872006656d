"""Plan: what a deploy and the playbook would change; and a deploy that is held to such a plan."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy import drift, planfile, stages
from deploy.ahead import Ahead
from deploy.artifact import Artifact
from deploy.changes import commits
from deploy.console import Console
from deploy.conversation import Request, conversation
from deploy.drift import Difference
from deploy.errors import Refused
from deploy.host.changes import parse
from deploy.host.release_phase import RELEASE
from deploy.inventory import digest
from deploy.plan_page import Page
from deploy.planfile import Plan
from deploy.playbook import NoAnswer, checking
from deploy.revision import Revision
from deploy.target import Target


def plan(request: Request, console: Console, host: bool) -> Page:
    """Find out what would change, and change nothing that visitors could see.

    Migrations that the droplet does not know are judged there, with the code that brings them: a
    release is pushed for that, and removed again.

    Args:
        host: also ask the playbook, which takes half a minute and runs beside the rest.

    Raises:
        Refused: the revision does not build, or the droplet or the playbook does not answer.
    """
    target = request.target
    revision = stages.revision_of(request)
    with ExitStack() as stack:
        if host:
            wait = stack.enter_context(checking(request.root, target.inventory, target.name))
        found = _of_release(request, revision, console)
        if not host:
            return found
        with console.phase("host"):
            roles = _roles(target, wait)
    return replace(found, roles=roles, plan=replace(found.plan, roles=drift.digest(roles)))


def deploy(request: Request, path: Path, console: Console) -> dict[str, Any]:
    """Deploy what the plan at ``path`` says, or nothing.

    Raises:
        Refused: the file is no plan, it is one for another environment, or something moved since.
    """
    found = planfile.read(path)
    problem = planfile.elsewhere(found, _environment(request.target), digest(request.root))
    if problem:
        raise Refused(problem)
    if found.roles:
        target = request.target
        with (
            console.phase("host"),
            checking(request.root, target.inventory, target.name) as wait,
        ):
            if _roles(target, wait):
                raise Refused(planfile.unprovisioned(found))
    return stages.deploy(replace(request, revision=found.revision, plan=found), console)


def _of_release(request: Request, revision: Revision, console: Console) -> Page:
    """The page without the host."""
    ahead = Ahead(request.root, request.target, revision)
    with conversation(request, console, lock=False) as (session, facts):
        artifact = stages.built(facts, console, ahead)
        with console.phase("compare"):
            manifest = artifact.compressed_manifest(stages.with_holdings(facts, session))
            push = session.plan(manifest, artifact.packages)
            judging = bool(facts["current"] and push["unapplied"])
            judged = None
            if judging and push["waiting"]:
                judged = session.call("judge", {"release": push["waiting"], "remove": False})
    judged_with = ""
    if judging and not judged and not push["no_room"]:
        judged_with, judged = _judge_by_a_push(request, console, artifact)
    return _page(request, artifact, facts, push, judged, judged_with)


def _judge_by_a_push(
    request: Request, console: Console, artifact: Artifact
) -> tuple[str, dict[str, Any]]:
    with conversation(request, console, lock=True, recover=False) as (session, facts):
        release, new = stages.pushed(session, artifact, facts, console)
        with console.phase("judge"):
            judged = session.call("judge", {"release": release["id"], "remove": new})
    return release["id"] if new else "", judged


def _environment(target: Target) -> str:
    """What stands after --env."""
    return Path(target.inventory).stem


def _roles(target: Target, wait: Callable[[], dict[str, Any]]) -> tuple[Difference, ...]:
    try:
        return tuple(drift.differing(wait(), target.name))
    except NoAnswer as said:
        raise Refused(f"{said.args[0]}. Without the host: invoke plan --no-host") from None


def _page(
    request: Request,
    artifact: Artifact,
    facts: dict[str, Any],
    push: dict[str, Any],
    judged: dict[str, Any] | None,
    judged_with: str,
) -> Page:
    target, live, revision = request.target, facts["current"], artifact.revision
    refusals = [push["no_room"], judged["refusal"] if judged else None]
    return Page(
        plan=Plan(
            **vars(stages.world(target, artifact, facts, push)),
            environment=_environment(target),
            inventory=digest(request.root),
            roles=None,
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            made_by=request.who,
        ),
        domain=target.domain,
        revision=revision,
        live=live,
        same=stages.is_live(artifact, facts),
        commits=commits(request.root, target, live["revision"], revision.commit) if live else None,
        changes=parse(push["changes"]) if push["changes"] else None,
        push=push,
        pending=tuple(judged["pending"]) if judged else None,
        judged_with=judged_with,
        runs=artifact.manifest["processes"].get(RELEASE, ""),
        refusals=tuple(text for text in refusals if text),
        roles=None,
    )
