"""Packages travel as what differs from those that the droplet has."""

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.artifact import PACKAGES, TREE, Artifact
from deploy.host import assets, objects, project_files, pushing
from deploy.host.context import Context
from deploy.revision import Revision
from tests.unit.test_pushing import assembled, ctx, manifest, stored

__all__ = ["ctx"]

REVISION = Revision(Path(), "0" * 40, "1" * 40, "app", "Ada", "First")
OLDER = {"django/core.py": "django = 1\n", "django/gone.py": "gone = 1\n", "toml.py": "toml = 1\n"}
NEWER = {"django/core.py": "django = 2\n", "toml.py": "toml = 1\n", "yaml/new.py": "yaml = 1\n"}
SAME = {f"same/{number}.py": f"{number}\n" for number in range(9)}
OTHER = {"flask.py": "flask = 1\n"}


def artifact(kept: Path, told: dict[str, Any]) -> Artifact:
    """A build of that manifest; its packages lie with those of earlier builds."""
    names = {
        name for tree in ("app", "static", "judge", "sbom", "venv") for name in told[tree].values()
    }
    keep(kept, told["lock"], told["venv"])
    content = {name: name for name in {*names, *told["assets"].values()}}
    for name in content:
        (kept / name).write_bytes(b"0123456789")
    whole = {**told, "listing": assets.name(told["assets"])}
    project = project_files.joined(told)
    origins = ((kept, content),)
    return Artifact(REVISION, kept, "d", whole, project, "", origins, (), kept)


def keep(kept: Path, lock: str, tree: dict[str, str]) -> None:
    (kept / PACKAGES / lock).mkdir(parents=True)
    (kept / PACKAGES / lock / TREE).write_text(json.dumps(tree))


def said(built: Artifact, locks: Sequence[str]) -> dict[str, Any]:
    facts = {"locks": locks, "listing": "", "files": ""}
    return dict(json.loads(zlib.decompress(built.compressed_manifest(facts))))


def test_the_droplet_knows_all_of_them_by_what_differs(ctx: Context, tmp_path: Path) -> None:
    older, other = stored(ctx, SAME | OLDER), stored(ctx, OTHER)
    for lock, tree in (("older", older), ("other", other)):
        assembled(ctx, {**manifest(ctx), "lock": lock, "venv": tree}, "ada@desk")
        keep(tmp_path, lock, tree)
    newer = stored(ctx, SAME | NEWER)
    told = said(
        artifact(tmp_path, {**manifest(ctx), "lock": "newer", "venv": newer}), ["older", "other"]
    )
    assert told["venv_of"] == "older"
    assert told["venv"] == {
        "django/core.py": newer["django/core.py"],
        "django/gone.py": None,
        "yaml/new.py": newer["yaml/new.py"],
    }
    # What has not changed is not spoken of.
    assert newer["toml.py"] not in told["sizes"]
    assert pushing.packages_told(ctx, told) == newer
    # And what is made of it is what would have been made of the whole.
    release = assembled(ctx, {**told, "venv": newer}, "ada@desk")
    venv = (ctx.layout.release(release.id) / "venv").resolve()
    packages = next(venv.glob("lib/python*/site-packages"))
    assert objects.differing(newer, packages) == []
    assert not (packages / "django/gone.py").exists()


def test_packages_of_a_droplet_that_this_machine_does_not_know_are_told_whole(
    ctx: Context, tmp_path: Path
) -> None:
    newer = stored(ctx, SAME | NEWER)
    built = artifact(tmp_path, {**manifest(ctx), "lock": "newer", "venv": newer})
    told = said(built, ["of another controller"])
    assert (told["venv_of"], told["venv"]) == ("", newer)
    assert pushing.packages_told(ctx, told) == newer
    told = said(built, ["newer"])
    assert told["venv"] == {}
