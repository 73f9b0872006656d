"""A release's journey, as the controller steers it."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy import sources
from deploy.ahead import Ahead
from deploy.changes import commits, listed
from deploy.console import Console, PhaseTime
from deploy.conversation import Request, conversation, tell_of_maintenance
from deploy.errors import Refused, SlipwayError
from deploy.hooks import Hooks
from deploy.planfile import Plan, World, moved
from deploy.revision import Revision
from deploy.session import Event, Pack, Sent, Session
from deploy.target import Platform, Target

if TYPE_CHECKING:
    from deploy.artifact import Artifact

# The release tool's operations after the push, by the phase to stop before.
JOURNEYS = {
    "collectstatic": (),
    "migrate": ("collectstatic",),
    "start": ("collectstatic", "migrate"),
    "switch": ("collectstatic", "migrate", "stage"),
    "": ("collectstatic", "migrate", "activate"),
}


def deploy(request: Request, console: Console) -> dict[str, Any]:
    """The whole journey, or the part before ``stop_before``."""
    steps = JOURNEYS.get(request.stop_before)
    if steps is None:
        known = ", ".join(filter(None, JOURNEYS))
        raise Refused(f"No phase {request.stop_before} to stop before; there are: {known}")
    revision = revision_of(request)
    ahead = Ahead(request.root, request.target, revision, request.ahead)
    told = _beside_the_bake(console, partial(_prepare_next, request.root, revision, ahead))
    with conversation(request, console, lock=True, on_event=told, then=["holdings"]) as (
        session,
        facts,
    ):
        tell_of_maintenance(facts, console)
        begun = None
        if request.plan:
            # What holds to a plan brings nothing before it is compared.
            artifact = built(facts, console, ahead)
            _hold_to(request.plan, request.target, session, artifact, facts)
        elif request.stop_before:
            artifact = built(facts, console, ahead, session)
        else:
            artifact, begun = _begun(request.target, revision, session, ahead, facts, console)
        if is_live(artifact, facts):
            return {"changed": False, "release": facts["current"], "url": _url(request)}
        hooks = Hooks(artifact.source, request.target, revision, console.note)
        if begun:
            release = begun
            session.ask("seal")
        else:
            hooks.before("push")
            release, _ = pushed(session, artifact, facts, console)
        of = {"release": release["id"]}
        asked = {"migrate": {**of, "allow_breaking": request.allow_breaking}}
        if not hooks.before_any:
            # From far away each question costs a round trip.
            for step in steps:
                session.ask(step, asked.get(step, of))
        done: dict[str, Any] = {"release": release}
        for step in steps:
            hooks.before(step, release["id"])
            done |= session.call(step, asked.get(step, of))
    if request.stop_before:
        artifact.remember()
        return {"changed": True, "stopped_before": request.stop_before, **done}
    hooks.after("switch", release["id"])
    return {"changed": True, "url": _url(request), **done}


def _beside_the_bake(console: Console, work: Callable[[], None]) -> Event:
    """Shows events, and begins the work with the bake, while which there is nothing to do here."""

    def event(facts: dict[str, Any]) -> None:
        console.event(facts)
        if (facts.get("phase"), facts.get("state")) == ("bake", "started"):
            threading.Thread(target=work).start()

    return event


def _prepare_next(root: Path, revision: Revision, ahead: Ahead) -> None:
    # Here, because a deploy that changes nothing needs none of it.
    from deploy.exports import lay_spare

    # Nobody asked for this: without it the next deploy takes longer.
    with suppress(OSError, subprocess.SubprocessError):
        ahead.remember()
    lay_spare(root / ".slipway" / "cache", revision.tree)


def outcome(done: Mapping[str, Any]) -> str:
    """One sentence on what :func:`deploy` did."""
    release = done["release"]["id"]
    if not done["changed"]:
        return f"Nothing changed: {release} is live with this revision and these config vars"
    if "stopped_before" in done:
        return f"{release} stopped before {done['stopped_before']}. Go on: invoke switch"
    return f"{release} is live: {done['url']}"


def switch(request: Request, console: Console) -> dict[str, Any]:
    """The rest of a journey that was stopped: the release pushed last goes live."""
    with conversation(request, console, lock=True) as (session, facts):
        tell_of_maintenance(facts, console)
        release = _newest(session, request.target, ("staged", "pushed"))
        done: dict[str, Any] = session.call("activate", {"release": release["id"]})
    return {"url": _url(request), **done}


def build_only(request: Request, console: Console) -> Artifact:
    """Build for the droplet's Python, and leave the droplet alone."""
    ahead = Ahead(request.root, request.target, revision_of(request), request.ahead)
    with conversation(request, console, lock=False) as (_, facts):
        return built(facts, console, ahead)


def push(request: Request, console: Console) -> dict[str, Any]:
    """Build, and bring what the droplet does not have; the release is sealed but not started."""
    ahead = Ahead(request.root, request.target, revision_of(request), request.ahead)
    with conversation(request, console, lock=True) as (session, facts):
        artifact = built(facts, console, ahead, session)
        release, _ = pushed(session, artifact, facts, console)
    artifact.remember()
    return release


def step(request: Request, console: Console, name: str, **options: Any) -> dict[str, Any]:
    """One step on the droplet, for the release pushed last."""
    with conversation(request, console, lock=True) as (session, _):
        release = _newest(session, request.target, ("staged", "pushed", "live"))
        done: dict[str, Any] = session.call(name, {"release": release["id"], **options})
    return {"release": release, **done}


def rollback(
    request: Request, console: Console, release: str | None, reverse: bool, restore: bool
) -> dict[str, Any]:
    """Back to a release that was live and healthy, after a word on what that takes back."""

    def event(facts: dict[str, Any]) -> None:
        console.event(facts)
        if "goes" in facts:
            goes = facts["goes"]
            found = commits(request.root, request.target, goes["left"], goes["target"])
            for line in listed(found) if found else ():
                console.note(line)

    with conversation(request, console, lock=True, on_event=event) as (session, facts):
        tell_of_maintenance(facts, console)
        done: dict[str, Any] = session.call(
            "rollback", {"release": release, "reverse": reverse, "restore": restore}
        )
    return {"url": _url(request), **done}


def revision_of(request: Request) -> Revision:
    """The commit that is asked for."""
    target = request.target
    source = request.source or sources.find(
        request.root, target.source, target.project, target.revision
    )
    return source.at(request.revision)


def built(
    facts: dict[str, Any], console: Console, ahead: Ahead, session: Session | None = None
) -> Artifact:
    """The artifact for the droplet of these facts.

    Args:
        session: brings its packages there, while the rest is built; ``facts`` tell of them then.
    """
    with console.phase("build") as building:
        if session:
            _bring_packages(session, ahead, facts, building)
        return ahead.artifact(_platform(facts), console.note)


def _bring_packages(
    session: Session, ahead: Ahead, facts: dict[str, Any], building: PhaseTime
) -> None:
    def sent(count: int) -> None:
        building.bytes += count
        ahead.check()

    packages = ahead.packages(_platform(facts))
    if packages:
        locks: list[str] = with_holdings(facts, session)["locks"]
        if packages.lock not in locks:
            session.packages(packages.compressed_manifest(locks), packages.pack, sent)
            locks.append(packages.lock)


def _platform(facts: Mapping[str, Any]) -> Platform:
    return Platform(python=facts["python"], machine=facts["machine"])


def _begun(
    target: Target,
    revision: Revision,
    session: Session,
    ahead: Ahead,
    facts: dict[str, Any],
    console: Console,
) -> tuple[Artifact, dict[str, Any] | None]:
    """The artifact, and its release if that was begun while the project was still asked.

    Where the project's answer can be expected, the release starts meanwhile, and waits to be
    sealed; it is taken away when the answer is another. Whoever has hooks is asked by them first.
    """
    droplet = _platform(facts)
    with console.phase("build") as building:
        _bring_packages(session, ahead, facts, building)
        expected = ahead.expected(droplet)
        if (
            expected is None
            or is_live(expected, facts)
            or Hooks(expected.source, target, revision, console.note).before_any
        ):
            return ahead.artifact(droplet, console.note), None
    release, _ = pushed(session, expected, facts, console, session.begin)
    try:
        with console.phase("check"):
            artifact = ahead.artifact(droplet, console.note)
    except SlipwayError:
        session.call("withdraw")
        raise
    if artifact.manifest == expected.manifest:
        return artifact, release
    session.call("withdraw")
    return artifact, None


def with_holdings(facts: dict[str, Any], session: Session) -> dict[str, Any]:
    """The droplet's facts, and what it holds of artifacts: asked when first wanted."""
    if "locks" not in facts:
        facts |= session.call("holdings")
    return facts


def pushed(
    session: Session,
    artifact: Artifact,
    facts: dict[str, Any],
    console: Console,
    bring: Callable[[bytes, Pack, Sent], Any] | None = None,
) -> tuple[dict[str, Any], bool]:
    """The artifact's release on the droplet, and whether it is a new one.

    Args:
        bring: as the session's ``push``, or its ``begin``.
    """
    with console.phase("push") as pushing:

        def sent(count: int) -> None:
            pushing.bytes += count

        manifest = artifact.compressed_manifest(with_holdings(facts, session))
        done = (bring or session.push)(manifest, artifact.pack, sent)
        release: dict[str, Any] = done["release"]
        console.note(release["id"] if done["new"] else f"{release['id']} was pushed before")
    return release, done["new"]


def world(target: Target, artifact: Artifact, facts: dict[str, Any], push: dict[str, Any]) -> World:
    """What a deploy of the artifact meets; ``push`` is what the droplet says of it."""
    return World(
        site=target.app,
        host=target.name,
        live=facts["current"]["id"] if facts["current"] else "",
        revision=artifact.revision.commit,
        artifact=artifact.digest,
        config=facts["config"],
        migrations=tuple(push["unapplied"]),
    )


def _hold_to(
    plan: Plan, target: Target, session: Session, artifact: Artifact, facts: dict[str, Any]
) -> None:
    """Refuse when the world has moved since the plan was made."""
    manifest = artifact.compressed_manifest(with_holdings(facts, session))
    push = session.plan(manifest, artifact.packages)
    problem = moved(plan, world(target, artifact, facts, push))
    if problem:
        raise Refused(problem)


def _newest(session: Session, target: Target, states: Container[str]) -> dict[str, Any]:
    """The newest release in one of these states."""
    for release in session.call("releases"):
        if release["state"] in states:
            return dict(release)
    raise Refused(f"No release was pushed to {target.name} that is not live. Run: invoke push")


def is_live(artifact: Artifact, facts: dict[str, Any]) -> bool:
    """Whether a deploy of it would change nothing."""
    current = facts["current"]
    return bool(
        current and current["artifact"] == artifact.digest and current["config"] == facts["config"]
    )


def _url(request: Request) -> str:
    return f"https://{request.target.domain}/"
