"""A revision's source is as git has it, whatever was taken over from an earlier one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from deploy import exports
from deploy.exports import Export, exported
from deploy.host.objects import differing
from deploy.revision import resolve
from tests.unit.test_revision import git

FIRST = {
    "manage.py": "import shop\n",
    "shop/__init__.py": "",
    "shop/views.py": "one = 1\n",
    "shop/static/a space*.css": "a {}",
    "old/gone.txt": "",
    "becomes": "a file",
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "--quiet")
    commit(root, FIRST)
    (root / "app/manage.py").chmod(0o755)
    (root / "app/link.py").symlink_to("shop/views.py")
    commit(root, {})
    return root


def commit(root: Path, changes: dict[str, str]) -> None:
    for name, text in changes.items():
        path = root / "app" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "Change")


def export(repository: Path) -> Export:
    return exported(repository.parent / "cache", resolve(repository, "app", "HEAD"))


Lay = Callable[[Path], None]


@pytest.fixture(params=[False, True], ids=["export alone", "spare"])
def lay(request: pytest.FixtureRequest) -> Lay:
    """Lays the export of HEAD out once more, or does not."""

    def lay_spare(repository: Path) -> None:
        if request.param:
            tree = resolve(repository, "app", "HEAD").tree
            exports.lay_spare(repository.parent / "cache", tree)

    return lay_spare


def there(folder: Path) -> dict[str, str | bytes]:
    """Path -> content of the files of a folder, or where a link leads to."""
    found = (path for path in folder.rglob("*") if not path.is_dir())
    return {
        str(path.relative_to(folder)): str(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        for path in found
    }


def same_file(one: Export, other: Export, path: str) -> bool:
    return (one.folder / path).samefile(other.folder / path)


def test_only_what_has_changed_is_written(repository: Path, lay: Lay) -> None:
    first = export(repository)
    lay(repository)
    git(repository, "rm", "--quiet", "-r", "app/old", "app/becomes")
    commit(repository, {"shop/views.py": "two = 2\n", "becomes/a folder": "", "new.txt": "new"})
    second = export(repository)
    assert there(second.folder) == there(repository / "app")
    assert sorted(second.files) == sorted(there(second.folder))
    assert differing(second.files, second.folder) == []
    assert second.files["manage.py"].endswith("x")
    assert second.files["link.py"] == second.files["shop/views.py"]
    assert same_file(first, second, "shop/static/a space*.css")
    assert (first.folder / "shop/views.py").read_text() == "one = 1\n"


def test_bytecode_is_taken_over_for_what_has_stayed(repository: Path, lay: Lay) -> None:
    first = export(repository)
    for module in ("shop/__init__.py", "shop/views.py", "written.py"):
        source = first.folder / module
        cache = source.parent / "__pycache__"
        cache.mkdir(exist_ok=True)
        (cache / f"{source.stem}.cpython-313.pyc").touch()
    lay(repository)
    commit(repository, {"shop/views.py": "two = 2\n"})
    second = export(repository)
    assert [path.name for path in second.folder.rglob("*.pyc")] == ["__init__.cpython-313.pyc"]
    assert not [path for path in second.files if path.endswith(".pyc")]


def test_what_the_project_wrote_is_no_part_of_it(repository: Path, lay: Lay) -> None:
    first = export(repository)
    (first.folder / "db.sqlite3").write_text("written when it was asked")
    lay(repository)
    assert "db.sqlite3" not in export(repository).files
    commit(repository, {"new.txt": ""})
    assert there(export(repository).folder) == there(repository / "app")


@pytest.mark.parametrize("changes", [{}, {"new.txt": ""}])
def test_a_file_that_the_project_wrote_into_is_exported_anew(
    repository: Path, lay: Lay, changes: dict[str, str]
) -> None:
    first = export(repository)
    lay(repository)
    with (first.folder / "shop/views.py").open("a") as file:
        file.write("written = True\n")
    if changes:
        commit(repository, changes)
    again = export(repository)
    assert (again.folder / "shop/views.py").read_text() == "one = 1\n"
    assert differing(again.files, again.folder) == []


def test_other_attributes_are_other_files(repository: Path, lay: Lay) -> None:
    first = export(repository)
    lay(repository)
    commit(repository, {"shop/.gitattributes": "__init__.py export-ignore\n", "manage.py": "\n"})
    second = export(repository)
    assert "shop/__init__.py" in first.files
    assert "shop/__init__.py" not in second.files
    # What is not exported is not missed either when it changes.
    commit(repository, {"shop/__init__.py": "two"})
    assert export(repository).files == second.files


def test_many_changes_are_exported_at_once(
    repository: Path, lay: Lay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "FEW", 1)
    first = export(repository)
    lay(repository)
    commit(repository, {"shop/views.py": "two = 2\n", "new.txt": ""})
    second = export(repository)
    assert there(second.folder) == there(repository / "app")
    assert not same_file(first, second, "manage.py")


def test_an_export_that_is_half_gone_is_not_taken_over(repository: Path, lay: Lay) -> None:
    first = export(repository)
    lay(repository)
    first.listing.unlink()
    commit(repository, {"new.txt": ""})
    second = export(repository)
    assert there(second.folder) == there(repository / "app")


@pytest.mark.parametrize("text", [None, "", '{"manage.py": ["1", 2]}'])
def test_an_export_that_does_not_say_its_files_is_made_anew(
    repository: Path, text: str | None
) -> None:
    first = export(repository)
    first.listing.unlink() if text is None else first.listing.write_text(text)
    assert export(repository).files == first.files
    assert there(export(repository).folder) == there(repository / "app")


def test_bytecode_and_repositories_within_are_no_files_of_it(repository: Path, lay: Lay) -> None:
    first = export(repository)
    lay(repository)
    within = repository / "app/within"
    within.mkdir()
    git(within, "init", "--quiet")
    git(within, "commit", "--quiet", "--allow-empty", "--message", "Within")
    commit(repository, {"shop/views.pyc": "old", "shop/new.py": ""})
    second = export(repository)
    assert second.files.keys() - first.files.keys() == {"shop/new.py"}
    assert (second.folder / "within").is_dir()


def test_what_is_laid_out_once_more_becomes_the_next(repository: Path) -> None:
    first = export(repository)
    (first.folder / "shop/__pycache__").mkdir()
    (first.folder / "shop/__pycache__/views.cpython-313.pyc").touch()
    cache, tree = repository.parent / "cache", resolve(repository, "app", "HEAD").tree
    exports.lay_spare(cache, tree)
    spare = cache / exports.SPARES / tree
    laid_out = (spare / "project/shop/static").stat().st_ino
    (spare / "project/manage.py").unlink()
    git(repository, "rm", "--quiet", "app/shop/views.py", "app/shop/__init__.py", "app/link.py")
    commit(repository, {"new.txt": ""})
    second = export(repository)
    assert (second.folder / "shop/static").stat().st_ino == laid_out
    assert not spare.exists()
    assert there(second.folder) == there(repository / "app")
    assert differing(second.files, second.folder) == []
    # A package without files is none.
    git(repository, "rm", "--quiet", "-r", "app/shop")
    commit(repository, {})
    exports.lay_spare(cache, resolve(repository, "app", "HEAD~1").tree)
    assert not (export(repository).folder / "shop").exists()
    # Nothing of which there is no export.
    exports.lay_spare(cache, "0" * 40)
    assert [*(cache / exports.SPARES).iterdir()] == []
