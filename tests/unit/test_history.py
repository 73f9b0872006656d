"""What each release changed against the one that was live before it, and what a plan finds."""

import json
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.host import audit, history, planning
from deploy.host.context import Context
from deploy.host.history import before
from deploy.host.release import Release
from deploy.host.site import Site
from deploy.host.switching import point
from deploy.host.wire import Wire
from tests.unit import test_pushing
from tests.unit.test_health import SITE, Silent
from tests.unit.test_pushing import Bound, assembled, manifest, stored

UPGRADE = {"name": "django", "before": "5.2.1", "after": "5.2.3"}


def entry(event: str, release: str, **facts: str | None) -> dict[str, Any]:
    return {"at": "", "event": event, "release": release, **facts}


def test_a_release_is_held_against_the_one_that_it_replaced() -> None:
    log = [
        entry(audit.PUSHED, "1"),
        entry(audit.SWITCHED, "1", previous=None),
        entry(audit.LIVE, "1"),
        entry(audit.PUSHED, "2"),
        entry(audit.PUSHED, "3"),
        entry(audit.SWITCHED, "3", previous="1"),
        entry(audit.LIVE, "3"),
        # It was pushed while 1 was live, and replaced 3.
        entry(audit.SWITCHED, "2", previous="3"),
        entry(audit.LIVE, "2"),
        # A rollback changes nothing about what 1 and 3 once brought.
        entry(audit.SWITCHED, "1", previous="2", takes_back="2"),
        entry(audit.LIVE, "1"),
        entry(audit.PUSHED, "4"),
    ]
    assert before(log) == {"1": None, "2": "3", "3": "1", "4": "1"}


class Versions(Bound):
    """Config vars of a version that a test names; the helper tells what a test says."""

    version = "c" * 12
    told: list[tuple[str, str]] | None = None

    def binding(self, release: str) -> Callable[[], str]:
        return lambda: self.version

    def config(self) -> str:
        return self.version

    def config_changes(self, old: str, new: str) -> list[tuple[str, str]] | None:
        return self.told

    def loaded(self) -> dict[str, str]:
        return {}


@pytest.fixture
def ctx(monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    for made in test_pushing.ctx.__wrapped__(monkeypatch):  # type: ignore[attr-defined]
        site: Site = replace(SITE, root=made.site.root)
        yield Context(site, Versions(site), Silent(), who="ada@desk", command="invoke plan")


def live(ctx: Context, **trees: Any) -> Release:
    release = assembled(ctx, manifest(ctx, **trees), "ada@desk")
    point(ctx.layout, release.id)
    audit.append(ctx.layout, audit.LIVE, release.id)
    return release


def listed(ctx: Context, **versions: str) -> dict[str, str]:
    parts = [{"name": name, "version": version} for name, version in versions.items()]
    return stored(ctx, {"sbom.json": json.dumps({"components": parts})})


def test_history_tells_packages_and_config_vars_and_survives_a_broken_sbom(ctx: Context) -> None:
    first = live(ctx, sbom=listed(ctx, django="5.2.1"))
    units = ctx.units
    assert isinstance(units, Versions)
    units.version, units.told = "d" * 12, [("added", "EMAIL_HOST")]
    second = live(ctx, sbom=listed(ctx, django="5.2.3"))
    newest, oldest = history.history(ctx)
    assert (newest["id"], oldest["changes"]) == (second.id, None)
    assert newest["changes"]["since"] == first.id
    assert newest["changes"]["packages"] == (UPGRADE,)
    assert newest["changes"]["config"] == ({"name": "EMAIL_HOST", "kind": "added"},)
    # An older helper does not know the verb.
    units.told = None
    assert history.history(ctx)[0]["changes"]["config"] is None
    for text in ("[", "[]", '{"components": [1]}'):
        path = ctx.layout.release(first.id) / "sbom.json"
        path.unlink()
        path.write_text(text)
        (added,) = history.history(ctx)[0]["changes"]["packages"]
        assert added == {"name": "django", "before": "", "after": "5.2.3"}


def foreseen(ctx: Context, told: dict[str, Any], packages: dict[str, str]) -> dict[str, Any]:
    sent = zlib.compress(json.dumps(told).encode())
    reader, writer = os.pipe()
    os.write(writer, sent)
    os.close(writer)
    try:
        return planning.foresee(ctx, Wire(reader), len(sent), packages)
    finally:
        os.close(reader)


def tree(ctx: Context) -> dict[str, tuple[float, int]]:
    return {
        str(path): (path.lstat().st_mtime, path.lstat().st_nlink)
        for path in Path(ctx.site.root).rglob("*")
    }


def test_a_plan_says_what_a_deploy_changes_and_leaves_the_droplet_as_it_was(ctx: Context) -> None:
    old = live(ctx, sbom=listed(ctx, django="5.2.1"))
    told = {**manifest(ctx), "artifact": "b" * 64, "processes": {"web": "other"}}
    told["app"]["new.py"] = "e" * 64
    told["sizes"] = {"e" * 64: 5_000_000}
    there = tree(ctx)
    found = foreseen(ctx, told, {"django": "5.2.3"})
    assert tree(ctx) == there
    assert (found["objects"], found["bytes"], found["needed"]) == (1, 5_000_000, 11_000_000)
    assert (found["unapplied"], found["waiting"], found["no_room"]) == ([], None, None)
    assert found["changes"]["since"] == old.id
    assert found["changes"]["packages"] == (UPGRADE,)
    assert found["changes"]["processes"] == ("release", "web", "worker")


def test_before_a_first_deploy_everything_is_new(ctx: Context) -> None:
    found = foreseen(ctx, {**manifest(ctx), "sizes": {}}, {})
    assert found["changes"] is None
    assert found["unapplied"] == ["catalog.0001_initial"]


def test_a_release_that_waits_is_told(ctx: Context) -> None:
    live(ctx)
    told = {**manifest(ctx), "artifact": "b" * 64}
    waiting = assembled(ctx, told, "ada@desk")
    assert foreseen(ctx, {**told, "sizes": {}}, {})["waiting"] == waiting.id
