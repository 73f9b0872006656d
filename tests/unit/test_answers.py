"""What a project answered is kept, and the next answer is expected where it may be the same."""

from pathlib import Path
from typing import Any

import pytest

from deploy.answers import Answer, Question
from deploy.collection import FILES
from deploy.exports import Export, folder_of
from deploy.revision import resolve
from deploy.target import parse
from tests.unit.test_inventory import FACTS
from tests.unit.test_revision import git

TARGET = parse("web1", FACTS, "inventory/staging.yml")
FIRST = {
    "manage.py": "",
    "shop/views.py": "one",
    "shop/migrations/0001_initial.py": "",
    "shop/static/shop.css": "a {}",
    "requirements.txt": "django",
}
TOLD: dict[str, Any] = {
    "collection": "",
    "hashed": [],
    "manifest": None,
    "changes": [],
    "conflicts": [],
    "migrations": [],
}


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Sources of which somebody asked; every answer but the static files is the same."""
    sources: list[Path] = []

    def ask(python: Path, source: Path, *rest: Any) -> dict[str, Any]:
        sources.append(source)
        files: Path = rest[2]
        files.mkdir()
        (files / "style.css").write_text("a {}")
        return {**TOLD, "static_root": str(source.resolve() / "collected")}

    monkeypatch.setattr("deploy.asking.ask", ask)
    return sources


def question(root: Path, changes: dict[str, str], venv: str = "venv") -> Question:
    """Of a revision with these changes."""
    if not (root / ".git").exists():
        git(root, "init", "--quiet")
    for name, text in changes.items():
        path = root / "app" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(root, "add", "app")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "Change")
    revision = resolve(root, "app", "HEAD")
    exported = Export(folder_of(root / ".slipway/cache", revision.tree), {}, root / "files")
    return Question(root, exported, root / venv / "bin/python", TARGET, revision)


def answered(root: Path, changes: dict[str, str]) -> Answer:
    asked = question(root, changes)
    answer = asked.answer()
    asked.remember()
    return answer


def test_an_answer_is_asked_for_once(tmp_path: Path, asked: list[Path]) -> None:
    first = answered(tmp_path, FIRST)
    assert answered(tmp_path, {}) == first
    assert len(asked) == 1
    assert first.collected.folder.joinpath(FILES, "style.css").exists()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("shop/views.py", True),
        ("shop/templates/home.html", True),
        ("shop/migrations/0002_more.py", False),
        ("shop/static/shop.css", False),
        ("requirements.txt", True),
        ("Procfile", False),
    ],
)
def test_the_last_answer_is_expected_of_a_change_of_code(
    tmp_path: Path, path: str, expected: bool
) -> None:
    assert question(tmp_path, FIRST).foreseen() is None
    last = answered(tmp_path, {})
    asked = question(tmp_path, {path: "two"})
    foreseen = asked.foreseen()
    assert (foreseen is not None) is expected
    if foreseen:
        # Of the static files it is the same; where they are meant to go is in the new source.
        assert foreseen.collected == last.collected
        assert foreseen.facts == asked.answer().facts
        assert foreseen.facts != last.facts


def test_a_project_that_was_refused_is_not_expected_to_answer_as_it_did(tmp_path: Path) -> None:
    question(tmp_path, FIRST).answer()
    assert question(tmp_path, {"shop/views.py": "two"}).foreseen() is None


@pytest.mark.parametrize("root", ["", "/srv/collected"])
def test_a_folder_that_is_not_in_the_source_stays_what_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    def ask(*rest: Any) -> dict[str, Any]:
        rest[4].mkdir()
        return {**TOLD, "static_root": root}

    monkeypatch.setattr("deploy.asking.ask", ask)
    answered(tmp_path, FIRST)
    foreseen = question(tmp_path, {"shop/views.py": "two"}).foreseen()
    assert foreseen
    assert foreseen.facts["static_root"] == root


def test_what_is_known_need_not_be_expected(tmp_path: Path) -> None:
    answered(tmp_path, FIRST)
    assert question(tmp_path, {}).foreseen() is None


def test_an_answer_to_another_question_is_not_expected(tmp_path: Path) -> None:
    answered(tmp_path, FIRST)
    assert question(tmp_path, {"shop/views.py": "two"}, venv="newer").foreseen() is None


def test_a_tree_that_is_gone_is_no_trouble(tmp_path: Path) -> None:
    answered(tmp_path, FIRST)
    last = tmp_path / ".slipway/answers" / f"{TARGET.environment}.{TARGET.app}.json"
    last.write_text('{"tree": "' + 40 * "0" + '"}')
    assert question(tmp_path, {"shop/views.py": "two"}).foreseen() is None
