"""The listing of hashed static files, which releases share."""

import json
import os
import shutil
import zlib
from typing import Any

from deploy.host import assets, objects, operations, pushing, retiring
from deploy.host.context import Context
from deploy.host.wire import Wire
from tests.unit.test_pushing import assembled, ctx, manifest, stored

__all__ = ["ctx"]

STYLE = {"css/site.1a2b.css": "a {}\n"}


def read(told: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """A manifest as the droplet reads it of the wire."""
    compressed = zlib.compress(json.dumps(told).encode())
    reading, writing = os.pipe()
    os.write(writing, compressed)
    os.close(writing)
    try:
        return operations.read_manifest(ctx, Wire(reading), len(compressed))
    finally:
        os.close(reading)


def live(ctx: Context, release: str) -> None:
    ctx.layout.current.unlink(missing_ok=True)
    ctx.layout.current.symlink_to(f"releases/{release}")


def test_the_name_is_that_of_the_files_in_any_order() -> None:
    one, two = {"a.css": "1", "b.css": "2"}, {"b.css": "2", "a.css": "1"}
    assert assets.name(one) == assets.name(two)
    assert assets.name(one) != assets.name({**one, "b.css": "3"})


def test_what_the_live_release_lists_need_not_be_told_again(ctx: Context) -> None:
    assert assets.whole(ctx.layout) == ""
    told = manifest(ctx)
    release = assembled(ctx, told, "ada@desk")
    live(ctx, release.id)
    name = assets.whole(ctx.layout)
    assert name == assets.name(told["assets"])
    assert assets.told(ctx.layout, {"listing": name}, {}) == told["assets"]
    # What was sent counts, whatever is known.
    other = {"b.css": "0" * 64}
    assert assets.told(ctx.layout, {"listing": name}, other) == other


def test_a_project_without_hashed_files_has_an_empty_listing_that_need_not_be_there(
    ctx: Context,
) -> None:
    assert assets.told(ctx.layout, {"listing": assets.name({})}, {}) == {}


def test_a_static_file_that_is_damaged_is_asked_for_with_the_listing_that_is_known(
    ctx: Context,
) -> None:
    told = manifest(ctx)
    live(ctx, assembled(ctx, told, "ada@desk").id)
    (name,) = told["assets"].values()
    path = objects.object_path(ctx.layout.objects, name)
    path.chmod(0o644)
    path.write_text("evil")
    arrived = read({**told, "assets": {}, "listing": assets.whole(ctx.layout)}, ctx)
    wanted = operations.object_names(arrived)
    assert objects.absent(ctx.layout.objects, wanted) == [name]


def test_a_listing_is_known_by_its_name_and_one_that_is_sent_gets_its_own(ctx: Context) -> None:
    told = manifest(ctx)
    first = assembled(ctx, told, "ada@desk")
    live(ctx, first.id)
    name = assets.whole(ctx.layout)
    known = assembled(ctx, read({**told, "assets": {}, "listing": name}, ctx), "ada@desk")
    sent = {**told, "assets": stored(ctx, {"css/other.5e6f.css": "b {}\n"}), "listing": name}
    other = assembled(ctx, read(sent, ctx), "ada@desk")
    listings = [ctx.layout.release(r.id) / assets.LISTING for r in (first, known, other)]
    assert listings[0].samefile(listings[1])
    assert json.loads(listings[2].read_text()) == sent["assets"]


def test_damage_to_the_listing_makes_it_unknown(ctx: Context) -> None:
    release = assembled(ctx, manifest(ctx), "ada@desk")
    live(ctx, release.id)
    path = ctx.layout.release(release.id) / assets.LISTING
    path.chmod(0o644)
    path.write_text("evil")
    assert assets.whole(ctx.layout) == ""


def test_releases_share_a_listing_and_a_sweep_keeps_what_one_of_them_names(ctx: Context) -> None:
    more = {**STYLE, "js/new.3c4d.js": "1\n"}
    trees = [STYLE, STYLE, more]
    releases = [
        assembled(ctx, {**manifest(ctx), "assets": stored(ctx, tree)}, "ada@desk") for tree in trees
    ]
    for release in releases:
        pushing.publish_static(ctx.layout, release)
    first, second, third = (ctx.layout.release(r.id) / assets.LISTING for r in releases)
    assert first.samefile(second)
    assert not first.samefile(third)
    assert set(assets.of_all(ctx.layout, releases)) == set(more)
    (ctx.layout.static / "left").mkdir()
    (ctx.layout.static / "left/behind.css").touch()
    shutil.rmtree(third.parent)
    retiring.sweep(ctx.layout)
    there = [p for p in ctx.layout.static.rglob("*") if p.is_file()]
    assert [str(path.relative_to(ctx.layout.static)) for path in there] == [*STYLE]
    assert not (ctx.layout.static / "left").exists()


def test_releases_of_before_have_theirs_in_the_manifest(ctx: Context) -> None:
    release = assembled(ctx, manifest(ctx), "ada@desk")
    folder = ctx.layout.release(release.id)
    listed = assets.of_release(folder)
    (folder / assets.LISTING).unlink()
    old = json.loads((folder / assets.MANIFEST).read_text())
    (folder / assets.MANIFEST).write_text(json.dumps({**old, "assets": listed}))
    assert assets.of_release(folder) == listed
    assert assets.of_all(ctx.layout, [release]) == listed
    live(ctx, release.id)
    assert assets.whole(ctx.layout) == ""
