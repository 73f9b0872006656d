"""Push: what the controller built becomes a sealed release."""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.host import assets, audit, beforehand, bytecode, objects, project_files
from deploy.host.assets import MANIFEST
from deploy.host.context import Context
from deploy.host.errors import Refused
from deploy.host.layout import RELEASE_ID, SOCKET_PATH_LIMIT, Layout
from deploy.host.procfile import script
from deploy.host.release import Release, new_id, read_all

# Unpacked objects, their bytecode, and room for the file system's own book-keeping.
DISK_FACTOR = 2
INODES_MINIMUM = 1000


@dataclass(frozen=True)
class Room:
    """Bytes that a push needs and that are free; ``problem`` is a sentence if it does not fit."""

    needed: int
    free: int
    problem: str | None


def room(ctx: Context, size: int) -> Room:
    """The room for a push.

    Args:
        size: bytes that the missing objects take unpacked.
    """
    disk = os.statvfs(ctx.layout.root)
    free = disk.f_bavail * disk.f_frsize
    needed = size * DISK_FACTOR + ctx.site.min_free_mb * 1_000_000
    problem = None
    if free < needed:
        problem = (
            f"The release needs {needed / 1e6:.0f} MB free under {ctx.layout.root}, and there are "
            f"{free / 1e6:.0f} MB. Make room, or lower keep_releases; see: invoke status"
        )
    elif disk.f_files and disk.f_favail < INODES_MINIMUM:
        problem = (
            f"Only {disk.f_favail} inodes are free under {ctx.layout.root}. Make room, or lower "
            "keep_releases; see: invoke status"
        )
    return Room(needed, free, problem)


def check_room(ctx: Context, size: int) -> None:
    """Refuse what would not fit.

    Raises:
        Refused: not enough disk or inodes.
    """
    problem = room(ctx, size).problem
    if problem:
        raise Refused(problem)


@dataclass(frozen=True)
class Reserved:
    """The id of a release to come, and what waits for the version of its config vars."""

    id: str
    config: Callable[[], str]


def reserve(ctx: Context, revision: str) -> Reserved:
    """Make a release's folder and have it bound to the config vars of now, which takes a while.

    Raises:
        Refused: the site's name is too long.
    """
    release_id = _free_id(ctx.layout, revision)
    ctx.layout.release(release_id).mkdir()
    return Reserved(release_id, ctx.units.binding(release_id))


def assemble(
    ctx: Context, manifest: Mapping[str, Any], built_by: str, reserved: Reserved
) -> Release:
    """Lay out and seal a release, as :func:`lay_out` and :func:`complete` do; returns it."""
    release = lay_out(ctx, manifest, built_by, reserved)
    os.sync()
    complete(ctx, release)
    return release


def lay_out(
    ctx: Context, manifest: Mapping[str, Any], built_by: str, reserved: Reserved
) -> Release:
    """Lay out a release from objects that are all in the store.

    Args:
        manifest: what the controller built (deploy/artifact.py writes it); ``listing`` names that
            of its ``assets``, where it is in the store already.
        reserved: as of :func:`reserve`.

    Returns:
        The release; not sealed, not started, not live.
    """
    layout = ctx.layout
    venv = assemble_venv(layout, manifest["lock"], manifest["venv"])
    _lay_out(ctx, layout.release(reserved.id), manifest, venv)
    return Release(
        id=reserved.id,
        sequence=max((r.sequence for r in read_all(layout)), default=0) + 1,
        revision=manifest["revision"],
        subject=manifest["subject"],
        author=manifest["author"],
        artifact=manifest["artifact"],
        lock=manifest["lock"],
        config=reserved.config(),
        python=manifest["python"],
        migrations=tuple(manifest["migrations"]),
        static_url=manifest["static_url"],
        processes=manifest["processes"],
        built_by=built_by,
        created_at=audit.now(),
    )


def complete(ctx: Context, release: Release) -> None:
    """Seal a release that was laid out and forced to the disk."""
    folder = ctx.layout.release(release.id)
    seal(folder, release)
    told = {"who": ctx.who, "revision": release.revision, "seal": seal_of(folder)}
    audit.append(ctx.layout, audit.PUSHED, release.id, **told)


def seal(folder: Path, release: Release) -> None:
    """Write release.json in one rename: from here on the release is complete."""
    draft = folder / ".release.json"
    with draft.open("w") as file:
        json.dump(release.to_json(), file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(folder / "release.json")


def seal_of(folder: Path) -> str:
    """One digest over what lists the release's files and what tells of it."""
    listed, told = (folder / MANIFEST).read_bytes(), (folder / "release.json").read_bytes()
    return hashlib.sha256(listed + told).hexdigest()


def publish_static(layout: Layout, release: Release) -> int:
    """Put the release's hashed files where Nginx serves them from; returns how many were new.

    Their names carry their content's hash, so a file that is there is the right one.
    """
    there = {path for path, _ in objects.below(layout.static)}
    listed = assets.of_release(layout.release(release.id))
    new = {path: name for path, name in listed.items() if path not in there}
    objects.link_tree(layout.objects, new, layout.static)
    return len(new)


def locks(layout: Layout) -> list[str]:
    """Locks whose packages are on the droplet, so that they need not be told or sent.

    What was damaged of them is asked for with the artifact that needs it.
    """
    return sorted(venv.name for venv in layout.venvs.glob("[!.]*"))


def packages_told(ctx: Context, manifest: Mapping[str, Any]) -> objects.Tree:
    """The packages of an artifact: told whole, or as what differs from a venv that is here.

    Nothing is told of those whose lock is here. They are looked at all the same: a damaged one is
    sent again. Of the live release's the damaged ones are all that there is to be said.
    """
    told, lock = manifest["venv"], manifest["lock"]
    beside = manifest.get("venv_of") or ("" if told else lock)
    if not beside:
        return dict(told)
    if not told:
        for looked in ctx.looked:
            if looked.result().lock == lock:
                return looked.result().damaged
    tree = assets.packages(ctx.layout.venv(beside)) | told
    return {path: name for path, name in tree.items() if name}


def unsealed(layout: Layout) -> list[Path]:
    """The folders of releases that are not complete."""
    return [
        path
        for path in layout.releases.iterdir()
        if RELEASE_ID.fullmatch(path.name) and not (path / "release.json").exists()
    ]


def remove_unsealed(ctx: Context) -> list[str]:
    """Collect what a push that was killed left half-done; returns the ids."""
    layout = ctx.layout
    objects.adopt(layout.objects)
    half = unsealed(layout)
    for path in half:
        ctx.units.forget(path.name)
        ctx.units.settle()
        shutil.rmtree(path)
    for path in layout.venvs.glob(".*"):
        shutil.rmtree(path)
    shutil.rmtree(layout.spare_draft, ignore_errors=True)
    return [path.name for path in half]


def _free_id(layout: Layout, revision: str) -> str:
    """An id that no release has: the lock keeps others out, the clock may stand still."""
    moment = datetime.now(UTC)
    while layout.release(release_id := new_id(moment, revision)).exists():
        moment = datetime.fromtimestamp(moment.timestamp() + 1, UTC)
    if len(os.fsencode(layout.socket(release_id))) > SOCKET_PATH_LIMIT:
        raise Refused(
            f"The socket's path {layout.socket(release_id)} is longer than {SOCKET_PATH_LIMIT} "
            "bytes. Choose a shorter site_name in the inventory"
        )
    return release_id


def _lay_out(ctx: Context, folder: Path, manifest: Mapping[str, Any], venv: Path) -> None:
    store = ctx.layout.objects
    beforehand.lay_out(ctx.layout, project_files.joined(manifest), folder)
    for name in ("app", "static", "judge", "bin"):
        (folder / name).mkdir(exist_ok=True)
    objects.link_tree(store, manifest["judge"], folder / "judge")
    objects.link_tree(store, manifest["sbom"], folder)
    (folder / "venv").symlink_to(os.path.relpath(venv, folder))
    (folder / "run").symlink_to(ctx.site.sockets(folder.name))
    for name, command in manifest["processes"].items():
        program = folder / "bin" / name
        program.write_text(script(name, command))
        program.chmod(0o755)
    bytecode.complete(store, manifest["app"], folder / "app")
    trees = ("app", "static", "judge")
    known = {f"{tree}/{path}": name for tree in trees for path, name in manifest[tree].items()}
    known |= manifest["sbom"]
    listing = manifest.get("listing") or objects.put(store, assets.text(manifest["assets"]))
    known[assets.LISTING] = listing
    objects.link_tree(store, {assets.LISTING: listing}, folder)
    _write_manifest(folder, known)


def _write_manifest(folder: Path, known: Mapping[str, str]) -> None:
    """List every file with its digest, those made here (bytecode, scripts) too, and every link."""
    files, links = dict(known), {}
    for name, entry in objects.below(folder):
        if entry.is_symlink():
            links[name] = str(Path(entry.path).readlink())
        elif name not in files and entry.is_file():
            files[name] = objects.digest(Path(entry.path))
    (folder / MANIFEST).write_text(json.dumps({"files": files, "links": links}))


def assemble_venv(layout: Layout, lock: str, tree: objects.Tree) -> Path:
    """The virtual environment of the lock file, made once and shared by its releases."""
    final = layout.venv(lock)
    if final.exists():
        return final
    draft = layout.venvs / f".{final.name}"
    # Of a run that was killed: whoever holds the lock is the only one here.
    shutil.rmtree(draft, ignore_errors=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = draft / assets.SITE_PACKAGES
    packages.mkdir(parents=True)
    (draft / "bin").mkdir()
    (draft / "bin" / "python3").symlink_to(f"/usr/bin/{version}")
    (draft / "bin" / "python").symlink_to("python3")
    (draft / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    objects.link_tree(layout.objects, tree, packages)
    _write_scripts(packages, draft / "bin", final)
    bytecode.complete(layout.objects, tree, packages)
    inside = packages.relative_to(draft)
    _write_manifest(draft, {f"{inside}/{path}": name for path, name in tree.items()})
    os.sync()
    draft.rename(final)
    return final


class _EntryPoints(configparser.ConfigParser):
    """Names of scripts are as they are written, capitals too."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def _write_scripts(packages: Path, bin_folder: Path, final: Path) -> None:
    """The packages' console scripts, with the path they will run from."""
    for listing in packages.glob("*.dist-info/entry_points.txt"):
        parser = _EntryPoints(delimiters=("=",), interpolation=None)
        parser.read_string(listing.read_text())
        for name, target in _console_scripts(parser):
            if "/" in name:
                raise Refused(f"A package has a script called {name!r}, which leaves its folder")
            module, _, function = target.split("[")[0].strip().partition(":")
            script = bin_folder / name
            script.write_text(
                f"#!{final}/bin/python3\n"
                f"import sys\n"
                f"from {module} import {function.split('.')[0]}\n"
                f"sys.exit({function}())\n"
            )
            script.chmod(0o755)


def _console_scripts(parser: configparser.ConfigParser) -> list[tuple[str, str]]:
    return parser.items("console_scripts") if parser.has_section("console_scripts") else []
