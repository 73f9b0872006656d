"""What is done of the next release beforehand changes nothing of it, whatever comes between."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from deploy.host import beforehand, objects, retiring
from deploy.host.beforehand import TREE
from deploy.host.context import Context, Looked
from deploy.host.verifying import verify
from tests.unit.test_assets import live
from tests.unit.test_pushing import assembled, ctx, manifest, stored

__all__ = ["ctx"]

FIRST = {
    "manage.py": "import shop\n",
    "shop/__init__.py": "",
    "shop/views.py": "one = 1\n",
    "shop/old/__init__.py": "",
    "shop/becomes": "a file",
}
SECOND = {
    "manage.py": "import shop\n",
    "shop/__init__.py": "",
    "shop/views.py": "two = 2\n",
    "shop/becomes/a folder": "now",
    "new.py": "",
}


def released(ctx: Context, app: dict[str, str]) -> Path:
    """The folder of a new release with these files, which is live then."""
    release = assembled(ctx, manifest(ctx, app=stored(ctx, app)), "ada@desk")
    ctx.layout.current.unlink(missing_ok=True)
    live(ctx, release.id)
    return ctx.layout.release(release.id)


def there(folder: Path) -> dict[str, str]:
    """Path -> text of the project's files, and "" for folders; bytecode is another test's."""
    return {
        str(path.relative_to(folder)): path.read_text() if path.is_file() else ""
        for path in folder.rglob("*")
        if "__pycache__" not in path.parts
    }


def with_folders(app: dict[str, str]) -> dict[str, str]:
    return app | {str(parent): "" for path in app for parent in [*Path(path).parents][:-1]}


def test_a_spare_becomes_the_next_release(ctx: Context) -> None:
    released(ctx, FIRST)
    beforehand.spare(ctx.layout)
    laid_out = (ctx.layout.spare / "app/shop").stat().st_ino
    second = released(ctx, SECOND)
    assert (second / "app/shop").stat().st_ino == laid_out
    assert not ctx.layout.spare.exists()
    assert there(second / "app") == with_folders(SECOND)
    assert there(second / "static") == {"robots.txt": "User-agent: *\n"}
    assert verify(ctx) == {"differing": []}
    # Another one is made of it, and of one that is there already.
    for app in (FIRST, SECOND):
        beforehand.spare(ctx.layout)
        beforehand.spare(ctx.layout)
        assert there(released(ctx, app) / "app") == with_folders(app)
    assert verify(ctx) == {"differing": []}


@pytest.mark.parametrize("text", [None, "", '{"app/manage.py"'])
def test_half_a_spare_is_of_no_use(ctx: Context, text: str | None) -> None:
    released(ctx, FIRST)
    beforehand.spare(ctx.layout)
    (ctx.layout.spare / "app/by-hand.py").touch()
    listing = ctx.layout.spare / TREE
    listing.unlink() if text is None else listing.write_text(text)
    assert there(released(ctx, FIRST) / "app") == with_folders(FIRST)
    assert not ctx.layout.spare.exists()


@pytest.mark.parametrize("half", [True, False])
def test_a_reserved_folder_is_there_all_the_time(ctx: Context, half: bool) -> None:
    """The helper that binds the release may look for it, and refuses one that has no folder."""
    reserved = folder = ctx.layout.release("20260801T120000-3f1c2ab")
    reserved.mkdir(parents=True)
    if half:
        folder = ctx.layout.spare
        (folder / "app").mkdir(parents=True)
        (folder / "app/by-hand.py").touch()
        (folder / "manage.py").symlink_to("app")
    opened = os.open(folder, os.O_DIRECTORY)
    try:
        beforehand.lay_out(ctx.layout, stored(ctx, FIRST), reserved)
        # The number is nobody else's while it is held open.
        assert reserved.stat().st_ino == os.fstat(opened).st_ino
    finally:
        os.close(opened)
    assert there(reserved) == with_folders(FIRST)


def test_a_live_release_that_does_not_say_its_files_is_laid_out_no_second_time(
    ctx: Context,
) -> None:
    (released(ctx, FIRST) / "manifest.json").write_text("{")
    beforehand.spare(ctx.layout)
    beforehand.look(ctx)
    assert not ctx.layout.spare.exists()
    assert [looked.result() for looked in ctx.looked] == [Looked()]


def test_what_was_damaged_is_not_taken_for_whole(ctx: Context) -> None:
    beforehand.look(ctx)
    assert ctx.looked == []
    views = released(ctx, FIRST) / "app/shop/views.py"
    views.chmod(0o644)
    views.write_text("three = 3\n")
    one, gone, kept = (
        hashlib.sha256(FIRST[path].encode()).hexdigest()
        for path in ("shop/views.py", "manage.py", "shop/becomes")
    )
    objects.object_path(ctx.layout.objects, gone).unlink()
    beforehand.look(ctx)
    (looked,) = ctx.looked
    assert looked.result(timeout=9).whole & {one, gone, kept} == {kept}


def test_what_frees_nothing_may_go_later(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    pruned = released(ctx, FIRST)
    released(ctx, SECOND)
    (name,) = stored(ctx, {"x": FIRST["shop/views.py"]}).values()
    monkeypatch.setattr(subprocess, "Popen", lambda *argv, **options: None)
    retiring.prune(ctx, {}, print)
    monkeypatch.undo()
    assert not pruned.exists()
    assert objects.absent(ctx.layout.objects, [name]) == [name]
    assert verify(ctx) == {"differing": []}
    # The program was killed with the droplet, say.
    (leaving,) = ctx.layout.releases.glob(".*")
    assert (leaving / "app/manage.py").exists()
    retiring.sweep(ctx.layout)
    assert sorted(os.listdir(ctx.layout.releases)) == [ctx.layout.current.readlink().name]  # noqa: PTH208
