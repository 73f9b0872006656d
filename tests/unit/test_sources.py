"""The project may live in this repository, in another one, or in a folder."""

from pathlib import Path

import pytest

from deploy.errors import Refused
from deploy.revision import Revision, export
from deploy.sources import find, known
from tests.unit.test_revision import git


def files(revision: Revision, folder: Path) -> list[str]:
    folder.mkdir()
    export(revision, folder)
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def blog(tmp_path: Path) -> Path:
    """A repository that is a Django project from its top."""
    root = tmp_path / "blog"
    (root / "blog").mkdir(parents=True)
    git(root, "init", "--quiet", "--initial-branch", "main")
    (root / "manage.py").write_text("first\n")
    (root / "blog/urls.py").write_text("")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "First")
    git(root, "branch", "next")
    return root


def test_another_repository_on_this_machine(tmp_path: Path, blog: Path) -> None:
    source = find(tmp_path, "blog", ".", "")
    assert (source.repository, source.revision) == (blog, None)
    assert files(source.at(None), tmp_path / "out") == ["blog/urls.py", "manage.py"]
    (blog / "manage.py").write_text("changed\n")
    with pytest.raises(Refused, match="not committed"):
        source.at(None)
    assert source.at("next").subject == "First"


def test_a_folder_of_another_repository(tmp_path: Path, blog: Path) -> None:
    source = find(tmp_path, str(blog / "blog"), ".", "next")
    assert source.project == "blog"
    assert files(source.at(None), tmp_path / "out") == ["urls.py"]


def test_a_remote_repository_is_fetched_each_time(tmp_path: Path, blog: Path) -> None:
    address = f"file://{blog}"
    first = find(tmp_path, address, ".", "").at(None)
    assert files(first, tmp_path / "out") == ["blog/urls.py", "manage.py"]
    git(blog, "commit", "--quiet", "--allow-empty", "--message", "Second")
    source = find(tmp_path, address, ".", "")
    assert source.at(None).subject == "Second"
    assert source.at("next").commit == first.commit
    assert find(tmp_path, address, ".", "next").at(None).commit == first.commit


def test_a_folder_that_is_no_repository(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "manage.py").write_text("first\n")
    (folder / ".gitignore").write_text("*.sqlite3\n")
    (folder / "db.sqlite3").write_text("private")
    first = find(tmp_path, "plain", ".", "").at(None)
    assert files(first, tmp_path / "out") == [".gitignore", "manage.py"]
    assert find(tmp_path, "plain", ".", "").at(None).tree == first.tree
    (folder / "manage.py").write_text("second\n")
    assert find(tmp_path, "plain", ".", "").at(None).tree != first.tree
    assert not (folder / ".git").exists()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nowhere", "nowhere is no folder"),
        ("file:///nowhere/at/all", "git cannot fetch file:///nowhere/at/all"),
        ("https://ada:secret@example.org/x.git", "holds a password"),
    ],
)
def test_a_source_that_is_not_there_is_refused(tmp_path: Path, source: str, said: str) -> None:
    with pytest.raises(Refused, match=said) as refused:
        find(tmp_path, source, ".", "")
    assert "secret" not in refused.value.message


def test_where_the_history_is_asked_for_nothing_is_fetched(tmp_path: Path, blog: Path) -> None:
    address = f"file://{blog}"
    assert known(tmp_path, "", "app") == (tmp_path, "app")
    assert known(tmp_path, "blog", ".") == (blog, ".")
    assert known(tmp_path, str(blog / "blog"), ".") == (blog, "blog")
    assert known(tmp_path, address, ".") is None
    copy = find(tmp_path, address, ".", "").repository
    git(blog, "commit", "--quiet", "--allow-empty", "--message", "Second")
    assert known(tmp_path, address, ".") == (copy, ".")
    assert git(copy, "log", "--format=%s", "main") == "First"


def test_a_folder_without_a_repository_has_a_history_once_it_was_deployed(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    assert known(tmp_path, "plain", ".") is None
    assert known(tmp_path, "gone", ".") is None
    copy = find(tmp_path, "plain", ".", "").repository
    assert known(tmp_path, "plain", ".") == (copy, ".")
