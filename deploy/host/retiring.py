"""Retire and prune: how releases leave."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from deploy.host import assets, audit, objects, restoring
from deploy.host.context import Context
from deploy.host.errors import NeedsYou, Refused
from deploy.host.events import phase
from deploy.host.layout import Layout
from deploy.host.objects import Tree
from deploy.host.plan import prunable, rollback_target
from deploy.host.release import Release, current_id, read_all

# Twice, because a connection may be between Nginx's lookup of the path and the queue; not when
# visitors were sent elsewhere that long ago.
EMPTY_LOOKS = 2
LOOK_SECONDS = 0.05
LEFT_SECONDS = 1.0
# The folder of a pruned release, until it is gone.
LEAVING = ".leaving-"
# A program takes a third of the time of shutil for thousands of files.
REMOVE = ("rm", "-rf", "--")


def drain(layout: Layout, release: str, seconds: float, left: float | None = None) -> None:
    """Wait until no connection waits in the socket's queue: stopping would reset it.

    Args:
        seconds: the longest wait.
        left: when visitors were last sent there, by the monotonic clock; None is just now.
    """
    path = str(layout.socket(release).resolve())
    begun = time.monotonic()
    deadline = begun + seconds
    looks = 1 if left is not None and begun - left > LEFT_SECONDS else EMPTY_LOOKS
    empty = 0
    while time.monotonic() < deadline:
        empty = 0 if queue_length(path) else empty + 1
        if empty == looks:
            return
        time.sleep(LOOK_SECONDS)


def queue_length(path: str) -> int:
    """Connections that wait to be accepted on the unix socket at ``path``."""
    lines = subprocess.run(
        ("ss", "--no-header", "--unix", "--listening", "--numeric"),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    # netid state recv-q send-q local-address ...
    return sum(int(fields[2]) for fields in map(str.split, lines) if path in fields)


def retire(ctx: Context, release: str, left: float | None = None) -> None:
    """Drain and stop an instance that visitors are not sent to any more, since when as of `drain`.

    Requests in flight are finished: Gunicorn stops accepting and ends its workers gracefully. That
    is left to systemd, which also knows how long it may take. It has heard of it after
    :meth:`deploy.host.units.Units.settle`.
    """
    drain(ctx.layout, release, ctx.site.drain_seconds, left)
    ctx.units.retire(release)


def warm(ctx: Context, live: str) -> set[str]:
    """The instance that runs on beside the live one, when the inventory wants that."""
    if not ctx.site.keep_warm:
        return set()
    try:
        pasts = audit.fold(audit.read(ctx.layout))
        return {rollback_target(read_all(ctx.layout), pasts, live).id}
    except Refused:
        return set()


def strays(loaded: Mapping[str, str], keep: Container[str]) -> list[str]:
    """Ids of the instances that run beside those to keep, and have not been told to stop.

    Args:
        loaded: instances and their states (:meth:`deploy.host.units.Units.loaded`).
    """
    return [name for name, state in loaded.items() if name not in keep and state != "deactivating"]


def retire_others(ctx: Context, live: str, loaded: Mapping[str, str], switched: float) -> None:
    """Retire what runs beside the live release.

    Args:
        loaded: as of :func:`strays`.
        switched: when visitors were sent to it, by the monotonic clock.
    """
    leaving = strays(loaded, {live} | warm(ctx, live))
    if leaving:
        with phase(ctx.reporter, "retire"):
            for one in leaving:
                retire(ctx, one, switched)


def prune(
    ctx: Context, loaded: Mapping[str, str], note: Callable[[str], None]
) -> tuple[Release, ...]:
    """Remove the releases nobody will go back to, and what only they needed.

    Args:
        loaded: as of :func:`strays`.
    """
    layout = ctx.layout
    releases = read_all(layout)
    pasts = audit.fold(audit.read(layout))
    gone = prunable(releases, pasts, current_id(layout), ctx.site.keep_releases)
    kept = tuple(release for release in releases if release not in gone)
    if gone:
        static: dict[str, str] = {}
        objects_of: set[str] = set()
        current = current_id(layout)
        shared = set(_made_of(layout.release(current)).values()) if current else set()
        for release in gone:
            note(release.id)
            static |= _published(layout.release(release.id))
            made = _made_of(layout.release(release.id))
            own = {path: name for path, name in made.items() if name not in shared}
            leaving = remove(ctx, release, loaded)
            # All else frees nothing when it goes.
            for path in own:
                (leaving / path).unlink(missing_ok=True)
            objects_of |= {*own.values()}
        listed = assets.of_all(layout, kept)
        _unpublish(layout, static.keys() - listed.keys())
        objects_of |= {*static.values(), *_remove_venvs(layout, kept)}
        objects.remove_unlinked(layout.objects, objects_of - set(listed.values()))
    restoring.prune(ctx, {release.id for release in kept})
    return gone


def look_ahead(ctx: Context) -> None:
    """Read what a prune will want to know, should the current release stay live."""
    releases, pasts = read_all(ctx.layout), audit.fold(audit.read(ctx.layout))
    current = current_id(ctx.layout)
    # One of those that were live is one too many with it.
    for release in prunable(releases, pasts, current, ctx.site.keep_releases - 1):
        _made_of(ctx.layout.release(release.id))


def sweep(layout: Layout) -> None:
    """Remove what no release needs and none was pruned with: a run that was cut off left it."""
    releases = read_all(layout)
    _remove_venvs(layout, releases)
    listed = assets.of_all(layout, releases)
    there = {name for name, entry in objects.below(layout.static) if entry.is_file()}
    _unpublish(layout, there - listed.keys())
    leaving = [*layout.releases.glob(f"{LEAVING}*")]
    if leaving:
        subprocess.run((*REMOVE, *leaving), check=True)
    objects.collect_garbage(layout.objects, set(listed.values()))
    _remove_old_tools(layout)


def remove(ctx: Context, release: Release, loaded: Container[str]) -> Path:
    """Remove a release that is not live; its packages and objects stay.

    It is forgotten as of :meth:`deploy.host.units.Units.forget`.

    Args:
        loaded: the instances that are there.

    Returns:
        Its folder, which a program empties. Nobody waits for it: a large project has ten thousand
        files. What it leaves when the droplet dies is swept up.
    """
    layout = ctx.layout
    if current_id(layout) == release.id:
        raise NeedsYou(f"Release {release.id} was to be pruned while it is live. Look: status")
    if release.id in loaded:
        ctx.units.stop(release.id)
    # Renamed first: a release that is half removed must not look like one.
    folder = layout.release(release.id).rename(layout.releases / f"{LEAVING}{release.id}")
    ctx.units.forget(release.id)
    subprocess.Popen(
        (*REMOVE, folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    audit.append(layout, audit.PRUNED, release.id, who=ctx.who)
    return folder


def _made_of(folder: Path) -> Tree:
    """What a release or a venv in that folder was made of, if it still says so."""
    with suppress(OSError, ValueError, LookupError):
        return assets.made_of(folder)
    return {}


def _published(folder: Path) -> Tree:
    """The hashed static files of a release in that folder, if it still tells them."""
    with suppress(OSError, ValueError, LookupError):
        return assets.of_release(folder)
    return {}


def _unpublish(layout: Layout, paths: Iterable[str]) -> None:
    """Remove hashed static files, and the folders that are empty without them."""
    for path in paths:
        file = layout.static / path
        file.unlink(missing_ok=True)
        for folder in file.parents:
            if folder == layout.static or any(folder.iterdir()):
                break
            folder.rmdir()


def _remove_venvs(layout: Layout, kept: Iterable[Release]) -> set[str]:
    """Remove the packages that none of these releases runs with; returns their objects."""
    locks = {release.lock for release in kept}
    objects_of: set[str] = set()
    for venv in layout.venvs.iterdir():
        if venv.name not in locks:
            objects_of |= {*_made_of(venv).values()}
            # Renamed first: half a venv under its own name would be taken for a whole one.
            leaving = venv.rename(venv.with_name(f".{venv.name}"))
            subprocess.run((*REMOVE, leaving), check=True)
    return objects_of


def _remove_old_tools(layout: Layout) -> None:
    """Release tools that no controller's version asks for any more; the running one stays."""
    # By hand it runs through a link.
    running = Path(__file__).resolve()
    for tool in layout.tools.iterdir():
        if not running.is_relative_to(tool.resolve()):
            shutil.rmtree(tool)
