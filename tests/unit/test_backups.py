"""The controller's side of backups: what is asked as root, and the way back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console as Terminal

from deploy import as_root, backups, restore
from deploy.cli import rehearse
from deploy.console import Console
from deploy.errors import BackedOut, Refused
from deploy.host import backups as on_host
from deploy.restore import Way
from tests.unit.test_build import TARGET

ROOT = Path("/nowhere")
Shell = Callable[[Path, Any, str], dict[str, Any]]
FACTS = {
    "app": "shop",
    "backup": "20261126-021500F",
    "backup_bytes": 32_000_000,
    "database_bytes": 9_000_000,
    "lost_seconds": 600,
    "written": {"rows": 150, "count": "5 a"},
    "written_then": {"rows": 100, "count": "5 a"},
    "replaced": [],
}


def answers(*given: dict[str, Any]) -> tuple[Shell, list[str]]:
    asked: list[str] = []
    left: Iterator[dict[str, Any]] = iter(given)

    def shell(root: Path, target: Any, line: str) -> dict[str, Any]:
        asked.append(line)
        return next(left)

    return shell, asked


def said(document: Any, rc: int = 0) -> dict[str, Any]:
    return {"rc": rc, "stdout": json.dumps(document)}


def test_a_question_is_quoted_and_its_answer_read(monkeypatch: pytest.MonkeyPatch) -> None:
    shell, asked = answers(said({"x": 1}))
    monkeypatch.setattr(as_root, "shell", shell)
    assert backups.ask(ROOT, TARGET, "plan", "shop", "2026-11-26 10:00; rm") == {"x": 1}
    assert asked == ["/usr/local/sbin/slipway-backup plan shop '2026-11-26 10:00; rm'"]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"rc": 127, "stdout": ""}, "has no backups yet. Run: ansible-playbook site.yml"),
        ({"rc": 1, "stdout": "", "stderr_lines": ["Traceback", "x"]}, "does not tell of its"),
        (said({"error": {"message": "There is no backup yet", "detail": []}}, 1), "There is no"),
    ],
)
def test_what_the_droplet_cannot_answer_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], told: str
) -> None:
    monkeypatch.setattr(as_root, "shell", answers(answer)[0])
    with pytest.raises(Refused, match=told):
        backups.ask(ROOT, TARGET, "state")


def test_a_run_is_followed_to_its_last_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shell, asked = answers(
        said({}),
        said({"events": [{"note": "restoring"}], "offset": 10, "active": True}),
        said({"events": [], "offset": 10, "active": True}),
        said({"events": [{"done": {"label": "F"}}], "offset": 20, "active": False}),
    )
    monkeypatch.setattr(as_root, "shell", shell)
    assert backups.run(ROOT, TARGET, Console(), "verify") == {"label": "F"}
    assert "restoring" in capsys.readouterr().err
    assert [line.split()[1:] for line in asked[1:]] == [
        ["follow", "verify", "0"],
        ["follow", "verify", "10"],
        ["follow", "verify", "10"],
    ]


@pytest.mark.parametrize(
    ("last", "told"),
    [
        ({"events": [{"error": {"message": "No room", "detail": []}}]}, "No room"),
        ({"events": []}, "ended on .* before it was done"),
    ],
)
def test_a_run_that_fails_says_why(
    monkeypatch: pytest.MonkeyPatch, last: dict[str, Any], told: str
) -> None:
    shell, _ = answers(said({}), said({"offset": 1, "active": False, **last}))
    monkeypatch.setattr(as_root, "shell", shell)
    with pytest.raises(BackedOut, match=told):
        backups.run(ROOT, TARGET, Console(as_json=True), "restore", failure=BackedOut)


def test_ctrl_c_ends_the_run_on_the_droplet(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def shell(root: Path, target: Any, line: str) -> dict[str, Any]:
        asked.append(line)
        if " follow " in line:
            raise KeyboardInterrupt
        return said({})

    monkeypatch.setattr(as_root, "shell", shell)
    with pytest.raises(KeyboardInterrupt):
        backups.run(ROOT, TARGET, Console(as_json=True), "restore")
    assert asked[-1] == "systemctl stop slipway-backup@restore.service"


# --- the way back --------------------------------------------------------------------------------


def test_the_plan_says_what_will_be_lost() -> None:
    way = Way("2026-11-26T10:00:00+00:00", FACTS, 50, "")
    text = "\n".join(way.lines())
    assert "back to    2026-11-26 10:00:00 UTC, 10 min ago" in text
    assert "these 10 min: at most 50 rows" in text
    assert "32.0 MB" in text
    assert "shop, 9.0 MB; it is kept until: invoke restore --forget" in text
    before = replace(way, release="20261126T095900-abcdef0", since=7)
    assert "before 20261126T095900-abcdef0 migrated" in before.lines()[0]
    assert "these 10 min: 7 rows" in before.lines()[1]
    assert "nobody knows" in replace(way, since=None).lines()[1]
    assert "nothing that was committed" in Way("newest", FACTS, 0, "").lines()[1]
    kept = {**FACTS, "replaced": [{"name": "shop_replaced_1", "bytes": 1}]}
    assert "shop_replaced_1, of earlier restores" in replace(way, facts=kept).lines()[-1]


def test_rows_are_counted_while_it_is_the_same_count() -> None:
    assert restore._since(FACTS, None) == 50
    assert restore._since(FACTS, {"written": 120}) == 30
    other = {**FACTS, "written_then": {"rows": 10, "count": "4 a"}}
    assert restore._since(other, None) is None
    assert restore._since({**FACTS, "written_then": None}, None) is None


@pytest.mark.parametrize(
    ("seconds", "told"), [(8, "8 s"), (600, "10 min"), (7200, "2 h"), (3 * 86400, "3 d")]
)
def test_how_long_is_told_in_one_unit(seconds: float, told: str) -> None:
    assert restore.span(seconds) == told


# --- what the release tool reads -----------------------------------------------------------------


def test_the_state_of_the_backups_is_read_by_everybody(tmp_path: Path) -> None:
    assert on_host.facts(tmp_path / "none") is None
    state = {
        "backups": [{"label": "old"}, {"label": "new"}],
        "files": [],
        "repository": {"place": "/r"},
        "proof": None,
        "archiving": None,
        "problems": ["no room"],
        "looked_at": "2026-11-26T10:00:00+00:00",
    }
    (tmp_path / "state.json").write_text(json.dumps(state))
    found = on_host.facts(tmp_path / "state.json")
    assert found is not None
    assert (found["postgresql"], found["files"], found["count"]) == ({"label": "new"}, None, 2)
    assert next(on_host.problems(found)) == "no room"


def test_a_rehearsal_says_who_would_be_kept_out_for_how_long() -> None:
    migration = {
        "name": "catalog.0003_shelf",
        "seconds": 1.234,
        "atomic": True,
        "locks": [{"table": "catalog_genre", "keeps_out": "reading and writing", "bytes": 9000}],
        "rewritten": ["catalog_genre"],
    }
    quiet = {**migration, "name": "catalog.0004_more", "locks": [], "rewritten": []}
    terminal = Terminal(width=200, force_terminal=False)
    with terminal.capture() as capture:
        terminal.print(rehearse._table({"migrations": [migration, quiet]}))
    told = capture.get()
    assert "catalog.0003_shelf" in told
    assert "1.23" in told
    assert "reading and writing of catalog_genre, 9.0 kB" in told
    assert "nobody" in told
