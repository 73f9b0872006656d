"""What the next release needs of the live one, done while nobody waits for it.

A large project has ten thousand files, of which a deploy changes few: they are looked at while the
controller builds, and linked once more while a release bakes.
"""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from deploy.host import assets, objects, project_files, trees
from deploy.host.context import Context, Looked
from deploy.host.layout import Layout
from deploy.host.objects import Tree
from deploy.host.release import Release, current_id, read

# In the spare: which files it has.
TREE = "tree"


def look(ctx: Context) -> None:
    """Begin to look which objects of the live release are whole; ``ctx.looked`` tells."""
    current = current_id(ctx.layout)
    live = read(ctx.layout, current) if current else None
    if live is None:
        return
    found: Future[Looked] = Future()
    ctx.looked.append(found)

    def compute() -> None:
        looked = Looked()
        try:
            looked = _looked(ctx.layout, live)
        except (OSError, ValueError, LookupError):
            # It does not say what it is made of: then a push looks at all that it needs.
            pass
        finally:
            found.set_result(looked)

    # A controller that has nothing to push does not wait for it.
    threading.Thread(target=compute, daemon=True).start()


def _looked(layout: Layout, live: Release) -> Looked:
    folder = layout.release(live.id)
    named = set(assets.of_release(folder).values())
    made = assets.made_of(folder).items()
    named.update(name for path, name in made if not path.endswith(".pyc"))
    packages = assets.packages(layout.venv(live.lock))
    named.update(packages.values())
    whole = objects.whole(layout.objects, named)
    damaged = {path: name for path, name in packages.items() if name not in whole}
    return Looked(whole, live.lock, damaged)


def spare(layout: Layout) -> None:
    """Lay the live release's project files out once more, for the release after it."""
    current = current_id(layout)
    if current is None:
        return
    draft = layout.spare_draft
    shutil.rmtree(draft, ignore_errors=True)
    try:
        tree = project_files.of_release(layout, current)
    except (ValueError, LookupError):
        # It does not say what it was made of.
        return
    lay_out(layout, tree, draft)
    (draft / TREE).write_bytes(trees.text(tree))
    draft.rename(layout.spare)


def lay_out(layout: Layout, tree: Tree, folder: Path) -> None:
    """Make a folder with a project's files, of the spare one where there is one."""
    there: dict[str, str] = {}
    try:
        layout.spare.rename(folder)
        there = trees.parsed((folder / TREE).read_bytes())
        (folder / TREE).unlink()
    except (OSError, ValueError):
        # A power failure may have left half of it. The folder itself stays: the helper that binds
        # the release may look for it just now.
        folder.mkdir(exist_ok=True)
        _empty(folder)
    differs = project_files.differing(tree, there)
    for path in differs.keys() & there.keys():
        _remove(folder, path)
    new = {path: name for path, name in differs.items() if name}
    objects.link_tree(layout.objects, new, folder)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _remove(folder: Path, path: str) -> None:
    """Remove a file, and the folders that are empty without it: Python could import those."""
    file = folder / path
    file.unlink(missing_ok=True)
    for parent in file.parents:
        if parent == folder:
            break
        with suppress(OSError):
            parent.rmdir()
