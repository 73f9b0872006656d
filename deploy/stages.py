"""A release's journey, as the controller steers it."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy import commands, sources
from deploy.artifact import Artifact, Platform
from deploy.build import build
from deploy.console import Console
from deploy.errors import NeedsYou, Refused
from deploy.hooks import Hooks
from deploy.revision import Revision
from deploy.target import Target

if TYPE_CHECKING:
    from deploy.runner import Session

# More would put releases in the wrong order for people, and break TLS (RELIABILITY: local clock).
CLOCK_SECONDS = 60
# The release tool's operations after the push, by the phase to stop before.
JOURNEYS = {
    "collectstatic": (),
    "migrate": ("collectstatic",),
    "start": ("collectstatic", "migrate"),
    "switch": ("collectstatic", "migrate", "stage"),
    "": ("collectstatic", "migrate", "activate"),
}


@dataclass(frozen=True)
class Request:
    """What somebody typed: a command, for a target, from a repository.

    ``revision`` None is HEAD of a clean work tree; ``stop_before`` names a phase, "" none.
    """

    root: Path
    target: Target
    command: str
    revision: str | None = None
    wait: bool = False
    stop_before: str = ""
    allow_breaking: bool = False


def deploy(request: Request, console: Console) -> dict[str, Any]:
    """The whole journey, or the part before ``stop_before``."""
    steps = JOURNEYS.get(request.stop_before)
    if steps is None:
        known = ", ".join(filter(None, JOURNEYS))
        raise Refused(f"No phase {request.stop_before} to stop before; there are: {known}")
    revision = _revision(request)
    ahead = _Ahead(request, revision)
    with _session(request, console, lock=True) as (session, facts):
        _tell_of_maintenance(facts, console)
        artifact = _build(facts, console, ahead)
        if _is_live(artifact, facts):
            return {"changed": False, "release": facts["current"], "url": _url(request)}
        hooks = Hooks(artifact.source, request.target, revision, console.note)
        hooks.before("push")
        release = _push(session, artifact, facts, console)
        done: dict[str, Any] = {"release": release}
        for step in steps:
            hooks.before(step, release["id"])
            facts = {"allow_breaking": request.allow_breaking} if step == "migrate" else {}
            done |= session.call(step, {"release": release["id"], **facts})
    if request.stop_before:
        return {"changed": True, "stopped_before": request.stop_before, **done}
    hooks.after("switch", release["id"])
    return {"changed": True, "url": _url(request), **done}


def switch(request: Request, console: Console) -> dict[str, Any]:
    """The rest of a journey that was stopped: the release pushed last goes live."""
    with _session(request, console, lock=True) as (session, facts):
        _tell_of_maintenance(facts, console)
        release = _newest(session, request.target, ("staged", "pushed"))
        done: dict[str, Any] = session.call("activate", {"release": release["id"]})
    return {"url": _url(request), **done}


def build_only(request: Request, console: Console) -> Artifact:
    """Build for the droplet's Python, and leave the droplet alone."""
    ahead = _Ahead(request, _revision(request))
    with _session(request, console, lock=False) as (_, facts):
        return _build(facts, console, ahead)


def push(request: Request, console: Console) -> dict[str, Any]:
    """Build, and bring what the droplet does not have; the release is sealed but not started."""
    ahead = _Ahead(request, _revision(request))
    with _session(request, console, lock=True) as (session, facts):
        artifact = _build(facts, console, ahead)
        return _push(session, artifact, facts, console)


def step(request: Request, console: Console, name: str, **options: Any) -> dict[str, Any]:
    """One step on the droplet, for the release pushed last."""
    with _session(request, console, lock=True) as (session, _):
        release = _newest(session, request.target, ("staged", "pushed", "live"))
        done: dict[str, Any] = session.call(name, {"release": release["id"], **options})
    return {"release": release, **done}


def rollback(
    request: Request, console: Console, release: str | None, reverse: bool, restore: bool
) -> dict[str, Any]:
    """Back to a release that was live and healthy."""
    with _session(request, console, lock=True) as (session, facts):
        _tell_of_maintenance(facts, console)
        done: dict[str, Any] = session.call(
            "rollback", {"release": release, "reverse": reverse, "restore": restore}
        )
    return {"url": _url(request), **done}


def ask(request: Request, console: Console, question: str) -> Any:
    """A question to the droplet: releases, status, verify, ps or certs. Takes no lock."""
    with _session(request, console, lock=False) as (session, _):
        return session.call(question)


@contextmanager
def asking(request: Request, console: Console, question: str) -> Iterator[Callable[[], Any]]:
    """The same question again and again over one connection, as often as the function is called."""
    with _session(request, console, lock=False) as (session, _):
        yield lambda: session.call(question)


def restart(request: Request, console: Console, process: str) -> dict[str, Any]:
    """Restart the live release's processes of one type, or with "" of each."""
    with _session(request, console, lock=True) as (session, _):
        done: dict[str, Any] = session.call("restart", {"process": process or None})
    return done


def scale(request: Request, console: Console) -> dict[str, Any]:
    """Run as many processes of the live release as the droplet is told by now."""
    with _session(request, console, lock=True) as (session, _):
        done: dict[str, Any] = session.call("scale")
    return done


def logs(
    request: Request,
    console: Console,
    asked: Mapping[str, Any],
    show: Callable[[dict[str, str]], None],
) -> None:
    """Show lines of the site's logs; ``asked`` is what deploy.host.logs takes.

    Raises:
        Refused: a value that means nothing, no such release, or nothing is live.
    """

    def event(facts: dict[str, Any]) -> None:
        if "line" in facts:
            show(facts["line"])
        else:
            console.event(facts)

    with _session(request, console, lock=False, on_event=event) as (session, _):
        session.call("logs", asked, ended=True)


def attach(
    request: Request, console: Console, release: str, words: Sequence[str], program: bool
) -> int:
    """Run a command in a release with this terminal; returns its exit code.

    Args:
        release: its id or the beginning of one, "" for the live one.
        program: the first word is a program, not a command of manage.py.

    Raises:
        Refused: no such release, or nothing is live.
    """
    with _session(request, console, lock=False) as (session, _):
        chosen = session.call("release", {"name": release or None})
    from deploy.runner import attach as run

    return run(request.target, commands.manage(request.target, chosen["id"], words, program))


def live(request: Request, console: Console) -> dict[str, Any]:
    """The live release, with ``latest_config``, the version of the config vars of now.

    Raises:
        Refused: nothing is live.
    """
    with _session(request, console, lock=False) as (_, facts):
        current = facts["current"]
    if not current:
        raise Refused(f"Nothing is live on {request.target.name} yet. Run: invoke deploy")
    return {**current, "latest_config": facts["config"]}


def settled_revision(request: Request, console: Console) -> str:
    """The commit that is live, with the config vars of now.

    Raises:
        Refused: nothing is live, or newer config vars wait for a deploy.
    """
    current = live(request, console)
    if current["config"] != current["latest_config"]:
        raise Refused(
            f"{current['id']} does not run with the config vars that {request.target.name} has by "
            f"now. Go live with them first: invoke deploy --revision {current['revision'][:12]}"
        )
    return str(current["revision"])


def verify(request: Request, console: Console) -> None:
    """Compare the files of all releases with their digests.

    Raises:
        NeedsYou: some differ, with their paths.
    """
    differing = ask(request, console, "verify")["differing"]
    if differing:
        raise NeedsYou(
            f"{len(differing)} files on {request.target.name} are not what was pushed. Find out "
            "who wrote there, then run: invoke deploy",
            differing,
        )


def maintenance(request: Request, console: Console, switch: str, **options: Any) -> dict[str, Any]:
    """Keep visitors out ("on"), or let them in again ("off").

    Nothing is put right before that: visitors come first, and a release may be what is broken.
    """
    with _session(request, console, lock=True, recover=False) as (session, _):
        done: dict[str, Any] = session.call(f"maintenance {switch}", options)
    return done


@contextmanager
def locked(request: Request, console: Console) -> Iterator[dict[str, Any]]:
    """Keep deploys away while the block runs; gives the droplet's facts."""
    with _session(request, console, lock=True) as (_, facts):
        yield facts


@contextmanager
def _session(
    request: Request,
    console: Console,
    lock: bool,
    recover: bool = True,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> Iterator[tuple[Session, dict[str, Any]]]:
    """The conversation with the droplet, and its facts; opening it is a phase of its own."""
    with ExitStack() as stack:
        with console.phase("connect"):
            # Here, because Fabric takes a third of a second to import, and a build may go on.
            from deploy.runner import Session

            session = stack.enter_context(Session(request.target, on_event or console.event))
            facts = session.open(request.command, lock, request.wait, recover)
            _check_clock(facts, request.target)
            _warn_of_certificate(facts, console)
        yield session, facts


def _revision(request: Request) -> Revision:
    target = request.target
    source = sources.find(request.root, target.source, target.project, target.revision)
    return source.at(request.revision)


class _Ahead:
    """A build that runs while the connection is made, for the platform the droplet had last."""

    def __init__(self, request: Request, revision: Revision) -> None:
        self._kept = request.root / ".slipway" / "platforms" / f"{request.target.host}.json"
        self._request = request
        self._revision = revision
        self._notes: list[str] = []
        self._guess: Platform | None = None
        if self._kept.exists():
            self._guess = Platform(**json.loads(self._kept.read_text()))
            self._artifact = ThreadPoolExecutor(1).submit(self._build, self._guess)

    def artifact(self, droplet: Platform, note: Callable[[str], None]) -> Artifact:
        """The artifact for that platform: the one that was built ahead, or one built now."""
        if droplet == self._guess:
            artifact = self._artifact.result()
        else:
            artifact = self._build(droplet)
            self._kept.parent.mkdir(parents=True, exist_ok=True)
            # Another site of the droplet may be reading it.
            draft = self._kept.with_name(f".{self._kept.name}.{os.getpid()}")
            draft.write_text(json.dumps(asdict(droplet)))
            draft.rename(self._kept)
        for text in (*self._notes, *artifact.warnings):
            note(text)
        return artifact

    def _build(self, droplet: Platform) -> Artifact:
        request = self._request
        return build(request.root, self._revision, request.target, droplet, self._notes.append)


def _build(facts: dict[str, Any], console: Console, ahead: _Ahead) -> Artifact:
    droplet = Platform(python=facts["python"], machine=facts["machine"])
    with console.phase("build"):
        return ahead.artifact(droplet, console.note)


def _push(
    session: Session, artifact: Artifact, facts: dict[str, Any], console: Console
) -> dict[str, Any]:
    with console.phase("push") as pushing, tempfile.TemporaryDirectory() as folder:

        def sent(count: int) -> None:
            pushing.bytes += count

        done = session.push(
            artifact.compressed_manifest(facts["locks"]),
            lambda need: artifact.pack(need, Path(folder)),
            sent,
        )
        release: dict[str, Any] = done["release"]
        console.note(release["id"] if done["new"] else f"{release['id']} was pushed before")
    return release


def _newest(session: Session, target: Target, states: Container[str]) -> dict[str, Any]:
    """The newest release in one of these states."""
    for release in session.call("releases"):
        if release["state"] in states:
            return dict(release)
    raise Refused(f"No release was pushed to {target.name} that is not live. Run: invoke push")


def _is_live(artifact: Artifact, facts: dict[str, Any]) -> bool:
    current = facts["current"]
    return bool(
        current and current["artifact"] == artifact.digest and current["config"] == facts["config"]
    )


def _check_clock(facts: dict[str, Any], target: Target) -> None:
    apart = abs(facts["now"] - time.time())
    if apart > CLOCK_SECONDS:
        raise Refused(
            f"The clocks of this machine and of {target.name} are {apart:.0f} s apart. "
            "Set the wrong one right: timedatectl"
        )


def _warn_of_certificate(facts: dict[str, Any], console: Console) -> None:
    """A deploy helps as little as it harms here, so it goes on."""
    certificate = facts["certificate"]
    if certificate and certificate["days"] < 0:
        console.note(
            f"the certificate expired on {certificate['not_after'][:10]}, and visitors are warned "
            "off. Run: ansible-playbook site.yml"
        )


def _tell_of_maintenance(facts: dict[str, Any], console: Console) -> None:
    """Whoever deploys should know that visitors do not see it yet."""
    found = facts["maintenance"]
    if found:
        console.note(
            f"maintenance has been on since {found['since'][:19]} UTC, by {found['who']}: visitors "
            "are kept out until somebody runs invoke maintenance.off"
        )


def _url(request: Request) -> str:
    return f"https://{request.target.domain}/"
