"""A project's own files travel as what differs from those of the live release."""

import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from deploy.artifact import FILES, LISTED, Artifact
from deploy.host import project_files, trees
from deploy.host.assets import MANIFEST
from deploy.host.context import Context
from deploy.host.errors import Refused
from tests.unit.test_assets import live
from tests.unit.test_packages_told import artifact
from tests.unit.test_pushing import assembled, ctx, manifest, stored

__all__ = ["ctx"]

APP = {"manage.py": "import sys\n", "site/views.py": "one = 1\n", "site/gone.py": "gone = 1\n"}
STATIC = {"robots.txt": "Allow: /\n"}


def told(built: Artifact, files: str) -> dict[str, Any]:
    facts = {"locks": [], "listing": "", "files": files}
    return dict(json.loads(zlib.decompress(built.compressed_manifest(facts))))


@pytest.fixture
def deployed(ctx: Context, tmp_path: Path) -> dict[str, Any]:
    """The manifest of the live release, whose build is known here."""
    made = {**manifest(ctx), "app": stored(ctx, APP), "static": stored(ctx, STATIC)}
    live(ctx, assembled(ctx, made, "ada@desk").id)
    kept = tmp_path / FILES / project_files.name(ctx.layout)
    kept.mkdir(parents=True)
    (kept / LISTED).write_bytes(trees.text(project_files.joined(made)))
    return made


def test_the_droplet_knows_all_of_them_by_what_differs(
    ctx: Context, tmp_path: Path, deployed: dict[str, Any]
) -> None:
    changed = stored(ctx, {"site/views.py": "one = 2\n", "site/new.py": "new = 1\n"})
    app = {path: name for path, name in deployed["app"].items() if path != "site/gone.py"}
    newer = {**deployed, "app": app | changed}
    built = artifact(tmp_path, newer)
    said = told(built, project_files.name(ctx.layout))
    assert (said["app"], said["static"]) == ({}, {})
    assert said["differs"] == {
        "app/site/gone.py": None,
        **{f"app/{path}": name for path, name in changed.items()},
    }
    # What has not changed is not spoken of.
    assert deployed["app"]["manage.py"] not in said["sizes"]
    assert said["sizes"].keys() >= set(changed.values())
    assert project_files.told(ctx.layout, said) == {"app": app | changed, "static": newer["static"]}


def test_half_a_list_of_them_is_not_believed(
    ctx: Context, tmp_path: Path, deployed: dict[str, Any]
) -> None:
    live = project_files.name(ctx.layout)
    (tmp_path / FILES / live / LISTED).write_text("")
    said = told(artifact(tmp_path, deployed), live)
    assert (said["differs_from"], said["app"]) == ("", deployed["app"])


def test_files_of_a_droplet_that_this_machine_does_not_know_are_told_whole(
    ctx: Context, tmp_path: Path, deployed: dict[str, Any]
) -> None:
    for name in ("", "of another controller"):
        said = told(artifact(tmp_path / (name or "first"), deployed), name)
        assert said["app"] == deployed["app"]
        assert project_files.told(ctx.layout, said)["app"] == deployed["app"]


def test_what_differs_from_a_release_that_is_live_no_more_is_refused(
    ctx: Context, tmp_path: Path, deployed: dict[str, Any]
) -> None:
    said = told(artifact(tmp_path, deployed), project_files.name(ctx.layout))
    other = {**deployed, "app": stored(ctx, {"other.py": "other = 1\n"})}
    live(ctx, assembled(ctx, other, "ada@desk").id)
    with pytest.raises(Refused, match="Another release went live meanwhile"):
        project_files.told(ctx.layout, said)


@pytest.mark.usefixtures("deployed")
def test_a_damaged_manifest_makes_them_unknown(ctx: Context) -> None:
    listed = ctx.layout.current.resolve() / MANIFEST
    listed.write_text(listed.read_text()[:-40])
    assert project_files.name(ctx.layout) == ""
