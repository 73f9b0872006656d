"""Hooks are the project's own programs: run at their moment, believed when they fail."""

from pathlib import Path

import pytest

from deploy.errors import BackedOut, NeedsYou
from deploy.hooks import Hooks
from deploy.revision import Revision
from deploy.target import parse
from tests.unit.test_inventory import FACTS

RELEASE = "20260801T120000-0123456"
REVISION = Revision(Path(), "0123456" + "0" * 33, "1" * 40, "app", "Ada", "First")


@pytest.fixture
def noted() -> list[str]:
    return []


@pytest.fixture
def hooks(tmp_path: Path, noted: list[str]) -> Hooks:
    (tmp_path / "hooks").mkdir()
    return Hooks(tmp_path, parse("web1", FACTS, "inventory/staging.yml"), REVISION, noted.append)


def write(hooks: Hooks, name: str, body: str, mode: int = 0o755) -> None:
    path = hooks.source / "hooks" / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(mode)


def test_a_hook_runs_in_the_source_and_knows_what_it_is_about(
    hooks: Hooks, noted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # That of a test run beside another one.
    monkeypatch.delenv("SLIPWAY_TEST_PREFIX", raising=False)
    write(hooks, "before-migrate", "env | grep ^SLIPWAY_ | sort > told; cat >> told")
    hooks.before("migrate", RELEASE)
    assert (hooks.source / "told").read_text().splitlines() == [
        "SLIPWAY_APP=mysite",
        "SLIPWAY_ENVIRONMENT=staging",
        f"SLIPWAY_RELEASE={RELEASE}",
        f"SLIPWAY_REVISION={REVISION.commit}",
        "SLIPWAY_URL=https://mysite.example.org/",
    ]
    assert noted == ["hooks/before-migrate"]


@pytest.mark.parametrize(
    ("step", "phase"), [("push", "push"), ("stage", "start"), ("activate", "switch")]
)
def test_a_hook_that_fails_before_a_phase_ends_the_deploy(
    hooks: Hooks, step: str, phase: str
) -> None:
    write(hooks, f"before-{phase}", "seq 30; echo no backup >&2; exit 7")
    with pytest.raises(BackedOut, match=f"Hook hooks/before-{phase} ended with 7") as failed:
        hooks.before(step)
    assert (len(failed.value.detail), failed.value.detail[-1]) == (20, "no backup")


def test_a_hook_that_fails_after_the_switch_needs_somebody(hooks: Hooks) -> None:
    write(hooks, "after-switch", "exit 1")
    with pytest.raises(NeedsYou, match=f"{RELEASE} is live, but hook hooks/after-switch ended"):
        hooks.after("switch", RELEASE)


def test_what_cannot_be_executed_is_no_hook(hooks: Hooks, noted: list[str]) -> None:
    write(hooks, "before-push", "exit 1", mode=0o644)
    (hooks.source / "hooks/before-migrate").mkdir()
    hooks.before("push")
    hooks.before("migrate", RELEASE)
    hooks.after("switch", RELEASE)
    assert noted == []
