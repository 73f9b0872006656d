"""From objects in the store to a sealed release."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.host import beforehand, objects, operations, pushing, retiring
from deploy.host.context import Context
from deploy.host.errors import Refused
from deploy.host.procfile import processes
from deploy.host.release import Release, read_all
from deploy.host.site import Site
from deploy.host.units import Units
from deploy.host.verifying import verify
from deploy.host.wire import Wire
from deploy.shipping import tool
from tests.unit.test_health import SITE, Silent
from tests.unit.test_wire import pieces

PROCFILE = (
    "# comment\nweb: gunicorn mysite.wsgi --workers 2\nrelease: false\nworker: echo $0 'a b'\n"
)
ENTRY_POINTS = """\
[console_scripts]
greet = greeting.cli:App.run [colour]
Other-Name = greeting:main

[other.group]
web = greeting:main
"""
GREETING = {
    "greeting/__init__.py": "def main():\n    return 3\n",
    "greeting/cli.py": "class App:\n    @staticmethod\n    def run():\n        print('hello')\n",
    "greeting-1.dist-info/entry_points.txt": ENTRY_POINTS,
    "greeting/template.py": "this {{ is }} no Python",
}


class Bound(Units):
    """A unit helper that binds every release to the same config vars."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.forgotten: list[str] = []

    def binding(self, release: str) -> Callable[[], str]:
        return lambda: "c" * 12

    def forget(self, release: str) -> None:
        self.forgotten.append(release)


@pytest.fixture
def ctx(monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    monkeypatch.setattr(os, "sync", lambda: None)
    # A short path: that of the socket has to fit into 107 bytes.
    with tempfile.TemporaryDirectory() as root:
        for name in ("releases", "venvs", "objects", "static", "tools"):
            (Path(root) / name).mkdir()
        site = replace(SITE, root=root)
        yield Context(site, Bound(site), Silent(), who="ada@desk", command="invoke push")


def assembled(ctx: Context, manifest: Mapping[str, Any], built_by: str) -> Release:
    """A release as a push makes it."""
    reserved = pushing.reserve(ctx, manifest["revision"])
    return pushing.assemble(ctx, manifest, built_by, reserved)


def stored(ctx: Context, files: dict[str, str]) -> dict[str, str]:
    """A tree of files whose objects are in the store."""
    tree = {}
    for path, text in files.items():
        name = hashlib.sha256(text.encode()).hexdigest()
        incoming = ctx.layout.objects / objects.INCOMING
        incoming.mkdir(exist_ok=True)
        (incoming / name).write_text(text)
        objects.adopt(ctx.layout.objects)
        tree[path] = name
    return tree


def manifest(ctx: Context, **trees: dict[str, str]) -> dict[str, Any]:
    return {
        "app": stored(ctx, {"Procfile": PROCFILE, "manage.py": "print('manage')\n"}),
        "static": stored(ctx, {"robots.txt": "User-agent: *\n"}),
        "assets": stored(ctx, {"css/site.1a2b.css": "a {}\n"}),
        "judge": stored(ctx, {"judge.py": "lint = True\n"}),
        "sbom": stored(ctx, {"sbom.json": "{}"}),
        "venv": stored(ctx, GREETING),
        "revision": "0123456789abcdef0123456789abcdef01234567",
        "subject": "Let readers renew",
        "author": "Ada",
        "artifact": "a" * 64,
        "lock": "f" * 16,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "migrations": ["catalog.0001_initial"],
        "static_url": "/static/",
        "processes": processes(PROCFILE),
        **trees,
    }


def test_packages_that_came_before_the_rest_are_the_release_s(ctx: Context) -> None:
    texts = {text: hashlib.sha256(text.encode()).hexdigest() for text in GREETING.values()}
    tree = {path: texts[text] for path, text in GREETING.items()}
    told = {"lock": "f" * 16, "venv_of": "", "venv": tree, "sizes": dict.fromkeys(tree.values(), 9)}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for text, name in texts.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    compressed = zlib.compress(json.dumps(told).encode())
    reading, writing = os.pipe()
    with open(writing, "wb") as pipe:  # noqa: PTH123
        pipe.write(compressed + pieces(packed.getvalue()))
    operations.packages(ctx, Wire(reading), len(compressed))
    os.close(reading)
    assert pushing.locks(ctx.layout) == ["f" * 16]
    assert verify(ctx) == {"differing": []}
    release = assembled(ctx, manifest(ctx, venv={}), built_by="ada@desk")
    greet = ctx.layout.release(release.id) / "venv/bin/greet"
    assert subprocess.run((greet,), capture_output=True, text=True).stdout == "hello\n"


def test_a_sealed_release_is_all_it_takes_to_run(ctx: Context) -> None:
    release = assembled(ctx, manifest(ctx), built_by="ada@desk")
    folder = ctx.layout.release(release.id)
    assert read_all(ctx.layout) == (release,)
    assert (release.sequence, release.config) == (1, "c" * 12)
    assert (folder / "static/robots.txt").is_file()
    assert (folder / "venv").resolve() == ctx.layout.venv(release.lock)
    assert sorted(p.name for p in (folder / "bin").iterdir()) == ["release", "web", "worker"]
    assert (folder / "bin/web").read_text() == (
        "#!/bin/sh\nexec env gunicorn mysite.wsgi --workers 2\n"
    )
    said = subprocess.run((folder / "bin/worker",), capture_output=True, text=True, check=True)
    assert said.stdout.endswith("/bin/worker a b\n")
    # Compiled ahead, as nobody may write there later.
    assert list((folder / "app/__pycache__").glob("manage.*.pyc"))


def test_console_scripts_run_with_the_virtual_environment(ctx: Context) -> None:
    release = assembled(ctx, manifest(ctx), built_by="ada@desk")
    scripts = ctx.layout.venv(release.lock) / "bin"
    python = scripts / "python3"
    assert sorted(p.name for p in scripts.iterdir()) == ["Other-Name", "greet", "python", "python3"]
    assert python.readlink().name == f"python{release.python}"
    # The test's own Python may not be Debian's.
    python.unlink()
    python.symlink_to(sys.executable)
    told = subprocess.run((scripts / "greet",), capture_output=True, text=True)
    assert (told.returncode, told.stdout) == (0, "hello\n")
    assert subprocess.run((scripts / "Other-Name",)).returncode == 3


def test_releases_of_one_lock_file_share_their_packages_and_objects(ctx: Context) -> None:
    first, second = (assembled(ctx, manifest(ctx), "ada@desk") for _ in range(2))
    assert first.id < second.id
    assert (first.sequence, second.sequence) == (1, 2)
    assert len(list(ctx.layout.venvs.iterdir())) == 1
    one, two = (ctx.layout.release(r.id) / "app/manage.py" for r in (first, second))
    assert one.stat().st_ino == two.stat().st_ino


@pytest.mark.parametrize("is_live", [True, False])
def test_packages_that_were_written_to_have_to_be_sent_again(ctx: Context, is_live: bool) -> None:
    release = assembled(ctx, manifest(ctx), "ada@desk")
    other = {**manifest(ctx), "lock": "other", "venv": stored(ctx, {"other.py": ""})}
    live = release if is_live else assembled(ctx, other, "ada@desk")
    ctx.layout.current.symlink_to(f"releases/{live.id}")

    def wanted() -> list[str]:
        """What a deploy of the same packages asks for."""
        ctx.looked.clear()
        beforehand.look(ctx)
        venv = pushing.packages_told(ctx, {"lock": release.lock, "venv": {}})
        return objects.absent(ctx.layout.objects, venv.values())

    # The controller tells nothing of packages whose lock is here, and sends what is asked for.
    assert release.lock in pushing.locks(ctx.layout)
    assert wanted() == []
    (package,) = ctx.layout.venv(release.lock).rglob("greeting/cli.py")
    whole = package.read_text()
    package.chmod(0o644)
    package.write_text("# damaged")
    damaged = hashlib.sha256(whole.encode()).hexdigest()
    assert wanted() == [damaged]
    stored(ctx, {"greeting/cli.py": whole})
    assert wanted() == []


def test_the_packages_of_the_live_release_are_looked_at_once(ctx: Context) -> None:
    release = assembled(ctx, manifest(ctx), "ada@desk")
    ctx.layout.current.symlink_to(f"releases/{release.id}")
    beforehand.look(ctx)
    assert pushing.packages_told(ctx, {"lock": release.lock, "venv": {}}) == {}


def test_hashed_files_are_published_once(ctx: Context) -> None:
    release = assembled(ctx, manifest(ctx), "ada@desk")
    assert pushing.publish_static(ctx.layout, release) == 1
    assert pushing.publish_static(ctx.layout, release) == 0
    assert (ctx.layout.static / "css/site.1a2b.css").read_text() == "a {}\n"
    assert not (ctx.layout.static / "robots.txt").exists()


def test_what_a_killed_push_left_is_removed_and_whole_releases_stay(ctx: Context) -> None:
    release = assembled(ctx, manifest(ctx), "ada@desk")
    half = ctx.layout.release("20260801T120000-0123456")
    (half / "app").mkdir(parents=True)
    (ctx.layout.venvs / f".{'e' * 16}/lib").mkdir(parents=True)
    assert pushing.remove_unsealed(ctx) == [half.name]
    assert isinstance(ctx.units, Bound)
    assert ctx.units.forgotten == [half.name]
    assert [p.name for p in ctx.layout.releases.iterdir()] == [release.id]
    assert [p.name for p in ctx.layout.venvs.iterdir()] == [release.lock]


def test_half_a_venv_of_a_killed_push_is_made_anew(ctx: Context) -> None:
    told = manifest(ctx)
    half = ctx.layout.venvs / f".{told['lock']}/lib/{'x' * 9}"
    half.mkdir(parents=True)
    (ctx.layout.venvs / f".{told['lock']}/bin").mkdir()
    release = assembled(ctx, told, "ada@desk")
    assert [p.name for p in ctx.layout.venvs.iterdir()] == [release.lock]
    assert verify(ctx) == {"differing": []}


def test_a_path_too_long_for_a_unix_socket_is_refused_before_anything_is_laid_out(
    ctx: Context,
) -> None:
    site = replace(ctx.site, root=f"{ctx.site.root}/{'a' * 60}")
    long = Context(site, ctx.units, Silent(), "ada", "invoke push")
    for name in ("releases", "venvs"):
        (long.layout.root / name).mkdir(parents=True)
    long.layout.objects.symlink_to(ctx.layout.objects)
    with pytest.raises(Refused, match="longer than 107 bytes"):
        assembled(long, manifest(ctx), "ada@desk")
    assert list(long.layout.releases.iterdir()) == []


@pytest.mark.parametrize(
    ("free_mb", "inodes", "said"),
    [
        (20.9, 10_000, "needs 21 MB free"),
        (21.1, 10_000, None),
        (21.1, 999, "Only 999 inodes"),
        (21.1, 0, None),
    ],
)
def test_what_would_not_fit_is_refused(
    ctx: Context,
    monkeypatch: pytest.MonkeyPatch,
    free_mb: float,
    inodes: int,
    said: str | None,
) -> None:
    # No inodes in all: a file system that does not count them (btrfs).
    room = SimpleNamespace(
        f_bavail=int(free_mb * 1000), f_frsize=1000, f_files=inodes, f_favail=inodes
    )
    monkeypatch.setattr(os, "statvfs", lambda path: room)
    size = 10_000_000  # unpacked; with its bytecode twice that, and 1 MB has to stay free
    if said is None:
        pushing.check_room(ctx, size)
        return
    with pytest.raises(Refused, match=said):
        pushing.check_room(ctx, size)


def test_every_file_that_is_not_as_it_was_pushed_or_made_is_found(ctx: Context) -> None:
    release = assembled(ctx, manifest(ctx), "ada@desk")
    # Also before its static files are published.
    assert verify(ctx) == {"differing": []}
    pushing.publish_static(ctx.layout, release)
    assert verify(ctx) == {"differing": []}
    folder, venv = ctx.layout.release(release.id), ctx.layout.venv(release.lock)
    changed = [
        folder / "app/manage.py",
        next((folder / "app/__pycache__").iterdir()),
        folder / "bin/web",
        ctx.layout.static / "css/site.1a2b.css",
        venv / "bin/greet",
        next(venv.rglob("greeting/cli.py")),
        next(venv.rglob("greeting/__pycache__/cli.*")),
    ]
    for path in changed:
        path.unlink()
        path.write_text("evil")
    (folder / "static/robots.txt").unlink()
    changed.append(folder / "static/robots.txt")
    assert verify(ctx) == {"differing": sorted(map(str, changed))}


@pytest.mark.parametrize(
    ("where", "leads_to"),
    [
        ("app/sitecustomize.py", None),
        ("app/__pycache__/extra.cpython-399.pyc", None),
        ("app/elsewhere", "/tmp"),
        ("bin/backdoor", None),
        ("app/manage.py", "../sbom.json"),
        ("venv", "/tmp"),
        ("venv/bin/python", "/tmp/python"),
        ("venv/bin/extra", None),
        ("venv/lib/evil.pth", None),
        ("sbom.json", None),
        ("release.json", None),
        ("manifest.json", None),
        ("../../static/evil.js", None),
        ("../../current", "/tmp"),
        ("../../current", "releases/20200101T000000-0000000"),
    ],
)
def test_whatever_was_added_or_led_elsewhere_is_found(
    ctx: Context, where: str, leads_to: str | None
) -> None:
    release = assembled(ctx, manifest(ctx), "ada@desk")
    folder = ctx.layout.release(release.id)
    ctx.layout.current.symlink_to(f"releases/{release.id}")
    assert verify(ctx) == {"differing": []}
    path = (
        (ctx.layout.venv(release.lock) / where[5:])
        if where[5:] and where[:5] == "venv/"
        else (Path(os.path.normpath(folder / where)))
    )
    before = path.read_text() if path.is_file() and not leads_to else ""
    path.unlink(missing_ok=True)
    if leads_to:
        path.symlink_to(leads_to)
    else:
        # release.json and the manifest have to stay readable.
        path.write_text(before and before + " ")
    told = folder / "release.json" if where == "manifest.json" else path
    assert verify(ctx) == {"differing": [str(told)]}


def test_a_link_in_place_of_a_file_is_found_while_its_content_is_still_the_same(
    ctx: Context, tmp_path: Path
) -> None:
    path = ctx.layout.release(assembled(ctx, manifest(ctx), "ada@desk").id) / "app/manage.py"
    shutil.move(path, tmp_path / "manage.py")
    path.symlink_to(tmp_path / "manage.py")
    assert verify(ctx) == {"differing": [str(path)]}


def test_the_release_tool_is_held_against_its_own_name(ctx: Context) -> None:
    folder = ctx.layout.tools / tool().digest
    with tarfile.open(fileobj=io.BytesIO(tool().pack)) as pack:
        pack.extractall(folder, filter="data")
    (folder / "deploy/__pycache__").mkdir()
    (folder / "deploy/__pycache__/x.pyc").touch()
    assert verify(ctx) == {"differing": []}
    (folder / "deploy/host/extra.py").touch()
    assert verify(ctx) == {"differing": [str(folder)]}


def test_static_files_of_a_release_that_waits_outlive_a_sweep(ctx: Context) -> None:
    live, waiting, gone = (
        assembled(ctx, manifest(ctx, assets=stored(ctx, {path: path})), "ada@desk")
        for path in ("css/a.1.css", "css/a.2.css", "js/a.3.js")
    )
    for release in (live, gone):
        pushing.publish_static(ctx.layout, release)
    shutil.rmtree(ctx.layout.release(gone.id))
    retiring.sweep(ctx.layout)
    assert [p.name for p in ctx.layout.static.rglob("*")] == ["css", "a.1.css"]
    assert pushing.publish_static(ctx.layout, waiting) == 1
    assert (ctx.layout.static / "css/a.2.css").read_text() == "css/a.2.css"
    assert verify(ctx) == {"differing": []}


def test_a_script_of_a_package_cannot_leave_its_folder(ctx: Context) -> None:
    files = {"x-1.dist-info/entry_points.txt": "[console_scripts]\n../../../outside = a:b\n"}
    with pytest.raises(Refused, match="a script called '../../../outside'"):
        assembled(ctx, manifest(ctx, venv=stored(ctx, files)), "ada@desk")
    assert not list(Path(ctx.site.root).rglob("outside"))


def test_a_prune_removes_what_only_the_pruned_release_was_made_of(ctx: Context) -> None:
    told = {**manifest(ctx, assets=stored(ctx, {"js/old.1.js": "old"})), "lock": "b" * 16}
    gone = assembled(ctx, told, "ada@desk")
    live = assembled(ctx, manifest(ctx), "ada@desk")
    for release in (gone, live):
        pushing.publish_static(ctx.layout, release)
    ctx.layout.current.symlink_to(f"releases/{live.id}")
    of_live = {name for name, _ in objects.below(ctx.layout.release(live.id))}
    before = {path.name for path in ctx.layout.objects.rglob("*") if path.is_file()}
    notes: list[str] = []
    assert retiring.prune(ctx, {}, notes.append) == (gone,)
    assert notes == [gone.id]
    assert isinstance(ctx.units, Bound)
    assert ctx.units.forgotten == [gone.id]
    assert not ctx.layout.release(gone.id).exists()
    assert [path.name for path in ctx.layout.venvs.iterdir()] == [live.lock]
    assert not (ctx.layout.static / "js").exists()
    after = {path.name for path in ctx.layout.objects.rglob("*") if path.is_file()}
    # And the listing that named it.
    assert len(before - after) == 2
    assert hashlib.sha256(b"old").hexdigest() in before - after
    assert {name for name, _ in objects.below(ctx.layout.release(live.id))} == of_live
    assert verify(ctx) == {"differing": []}


def test_a_release_that_does_not_say_what_it_was_made_of_is_pruned_all_the_same(
    ctx: Context,
) -> None:
    gone, live = (assembled(ctx, manifest(ctx), "ada@desk") for _ in range(2))
    ctx.layout.current.symlink_to(f"releases/{live.id}")
    (ctx.layout.release(gone.id) / "manifest.json").write_text("{")
    assert retiring.prune(ctx, {}, print) == (gone,)
    assert verify(ctx) == {"differing": []}


def test_a_sweep_removes_what_a_push_that_was_cut_off_left(ctx: Context) -> None:
    release = assembled(ctx, manifest(ctx), "ada@desk")
    (left,) = stored(ctx, {"left": "behind"}).values()
    pushing.assemble_venv(ctx.layout, "b" * 16, stored(ctx, GREETING))
    retiring.sweep(ctx.layout)
    assert objects.absent(ctx.layout.objects, [left]) == [left]
    assert [path.name for path in ctx.layout.venvs.iterdir()] == [release.lock]
    assert verify(ctx) == {"differing": []}
