"""What is asked for is found in a real git repository, or refused."""

import subprocess
from pathlib import Path

import pytest

from deploy.errors import Refused
from deploy.revision import Commit, Commits, between, export, resolve


def git(root: Path, *args: str) -> str:
    settings = ("-c", "user.name=Ada Ñandú", "-c", "user.email=ada@example.org")
    done = subprocess.run(
        ("git", *settings, *args), cwd=root, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / "app").mkdir(parents=True)
    git(root, "init", "--quiet", "--initial-branch", "main")
    (root / "README").write_text("outside of the project\n")
    (root / "app/manage.py").write_text("first\n")
    (root / "app/manage.py").chmod(0o755)
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "First: “quoted”\n\nAnd more.")
    git(root, "tag", "v1")
    (root / "app/manage.py").write_text("second\n")
    git(root, "commit", "--quiet", "--all", "--message", "Second")
    return root


def test_a_clean_work_tree_is_its_head(repository: Path) -> None:
    revision = resolve(repository, "app", None)
    assert revision.commit == git(repository, "rev-parse", "HEAD")
    assert revision.tree == git(repository, "rev-parse", "HEAD:app")
    assert (revision.subject, revision.author) == ("Second", "Ada Ñandú")
    assert revision.commit.startswith(revision.short)


@pytest.mark.parametrize("name", ["v1", "HEAD~1", "main^"])
def test_a_revision_has_any_name_that_git_knows(
    repository: Path, tmp_path: Path, name: str
) -> None:
    revision = resolve(repository, "app", name)
    assert revision.subject == "First: “quoted”"
    source = tmp_path / "source"
    source.mkdir()
    export(revision, source)
    assert [path.name for path in source.iterdir()] == ["manage.py"]
    assert (source / "manage.py").read_text() == "first\n"
    assert (source / "manage.py").stat().st_mode & 0o111


@pytest.mark.parametrize("file", ["app/manage.py", "app/new.py"])
def test_a_dirty_work_tree_is_refused_unless_a_revision_is_named(
    repository: Path, file: str
) -> None:
    (repository / file).write_text("changed\n")
    with pytest.raises(Refused) as refused:
        resolve(repository, "app", None)
    assert "1 changes that are not committed" in refused.value.message
    assert refused.value.detail[0].endswith(file)
    assert resolve(repository, "app", "HEAD").subject == "Second"


@pytest.mark.parametrize(
    "name", ["v2", "0000000", "HEAD~7", "HEAD:app", "no such", "--all", "--output=leak"]
)
def test_a_revision_that_is_not_there_is_refused(repository: Path, name: str) -> None:
    with pytest.raises(Refused, match="No revision"):
        resolve(repository, "app", name)
    assert not list(repository.glob("leak*"))


def test_a_revision_without_the_project_is_refused(repository: Path) -> None:
    with pytest.raises(Refused, match=r"has no folder site/ \(site_project in the inventory\)"):
        resolve(repository, "site", "HEAD")


def test_a_folder_that_is_no_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused):
        resolve(tmp_path, "app", None)


def test_commits_between_two_revisions_are_those_of_the_project(repository: Path) -> None:
    v1, second = git(repository, "rev-parse", "v1"), git(repository, "rev-parse", "HEAD")
    (repository / "README").write_text("outside again\n")
    git(repository, "commit", "--quiet", "--all", "--message", "Outside")
    head = git(repository, "rev-parse", "HEAD")
    found = between(repository, "app", v1, head)
    assert found == Commits(new=(Commit(second, "Ada Ñandú", "Second"),))
    assert between(repository, "app", head, v1) == Commits(gone=found.new)
    assert between(repository, ".", second, second) == Commits()
    assert len(between(repository, ".", v1, head).new) == 2  # type: ignore[union-attr]


def test_commits_that_this_machine_does_not_have_are_not_known(repository: Path) -> None:
    assert between(repository, "app", "f" * 40, "v1") is None
    assert between(repository / "app", "app", "--output=x", "v1") is None
