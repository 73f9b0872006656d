"""What Django says of a project before it is uploaded, by in_project.py in the project itself."""

import json
import shutil
import sys
from collections.abc import Mapping
from importlib.util import cache_from_source
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from deploy import answers, asking, judging
from deploy.answers import Question
from deploy.artifact import stamp, tree_of
from deploy.errors import Refused
from deploy.exports import Export
from deploy.host import trees
from deploy.kept import kept
from deploy.packing import object_name
from deploy.revision import Revision
from tests.unit.test_build import TARGET

ROOT = Path(__file__).parents[2]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """LocalLibrary, to be changed."""
    return Path(shutil.copytree(ROOT / "app", tmp_path / "app"))


def warnings(source: Path) -> list[str]:
    facts = asking.ask(Path(sys.executable), source, TARGET, {}, source.parent / "static")
    assert facts["errors"] == []
    return sorted(facts["warnings"])


def test_check_deploy_has_nothing_to_say_of_locallibrary(source: Path) -> None:
    assert warnings(source) == []


def test_what_the_settings_acknowledge_is_not_told(source: Path) -> None:
    settings = source / "locallibrary/settings.py"
    settings.write_text(f"{settings.read_text()}SECURE_HSTS_SECONDS = 0\nX_FRAME_OPTIONS = 'A'\n")
    assert [text.partition(":")[0] for text in warnings(source)] == [
        "security.W004",
        "security.W019",
    ]
    acknowledged = "SILENCED_SYSTEM_CHECKS = ['security.W019']\n"
    settings.write_text(settings.read_text() + acknowledged)
    assert [text.partition(":")[0] for text in warnings(source)] == ["security.W004"]


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        (
            "    imprint = ",
            "    printed = ",
            "Field 'printed' on model 'bookinstance' not migrated",
        ),
        (
            "    summary = ",
            "    pages = models.IntegerField()\n    summary = ",
            "Field 'pages' on model 'book' not migrated: it is impossible to add",
        ),
    ],
    ids=["a field has another name", "a field needs a default"],
)
def test_changes_that_django_would_ask_about_are_told(
    source: Path, was: str, becomes: str, told: str
) -> None:
    models = source / "catalog/models.py"
    text = models.read_text()
    assert was in text
    models.write_text(text.replace(was, becomes, 1))
    # What uses the field is not asked.
    (source / "catalog/admin.py").write_text("")
    facts = asking.ask(Path(sys.executable), source, TARGET, {}, source.parent / "static")
    assert any(change.startswith(told) for change in facts["changes"]), facts["changes"]
    assert not any(change.endswith(".") for change in facts["changes"])


def test_migrations_that_conflict_are_told_with_what_mends_them(source: Path) -> None:
    """Django's own command ends with an error of its own there."""
    (source / "catalog/migrations/0002_other.py").write_text(
        "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n"
        "    dependencies = [('catalog', '0001_initial')]\n    operations = []\n"
    )
    facts = asking.ask(Path(sys.executable), source, TARGET, {}, source.parent / "static")
    assert facts["conflicts"] == ["catalog: 0002_other, 0003_long_lists"]
    assert "catalog.0002_other" in facts["migrations"]
    (problem,) = judging.problems(facts, source, ())
    assert "makemigrations --merge" in problem.text


def test_migrations_are_compared_with_the_models_only_where_either_may_have_changed(
    source: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root, trees = tmp_path_factory.mktemp("root"), count(1)
    imported = root / "imported"
    migration = source / "catalog/migrations/0003_long_lists.py"
    migration.write_text(f"{migration.read_text()}\nopen({str(imported)!r}, 'w').close()\n")
    (root / "files").write_text("0\0")
    models, page = source / "catalog/models.py", source / "catalog/templates/base.html"

    def asked() -> tuple[bool, Mapping[str, Any]]:
        """Whether migrations were imported, and what is told."""
        imported.unlink(missing_ok=True)
        revision = Revision(source, "1" * 40, f"{next(trees):040}", ".", "", "")
        export = Export(source, tree_of(source), root / "files")
        question = Question(root, export, Path(sys.executable), TARGET, revision)
        facts = question.answer().facts
        return imported.exists(), facts

    again, first = asked()
    assert again
    assert "catalog.0003_long_lists" in first["migrations"]
    page.write_text(f"{page.read_text()}\n")
    assert asked() == (False, first)
    # Models and migrations may read a file that is no code.
    catalogue = source / "catalog/data/catalogue.json"
    catalogue.write_text(f"{catalogue.read_text()}\n")
    assert asked() == (True, first)
    was = models.read_text()
    summary = "    summary = "
    models.write_text(was.replace(summary, f"    pages = models.TextField()\n{summary}", 1))
    for _ in range(2):
        again, facts = asked()
        assert again
        assert facts["changes"]
    models.write_text(was)
    assert asked() == (False, first)
    code = source / "catalog/templates/models.py"
    code.write_text("from django.db import models\n")
    models.write_text(f"{was}\nfrom catalog.templates import models as other\n")
    assert asked() == (True, first)
    code.write_text(f"{code.read_text()}class Other(models.Model):\n    pass\n")
    assert "Create model Other" in str(asked()[1]["changes"])


def test_what_was_imported_is_compiled_for_the_next_time(source: Path) -> None:
    """The packages are installed without bytecode."""
    compiled = Path(cache_from_source(str(source / "catalog/models.py")))
    compiled.unlink(missing_ok=True)
    warnings(source)
    assert compiled.exists()


def test_a_relative_static_root_is_meant_from_the_project(source: Path) -> None:
    settings = source / "locallibrary/settings.py"
    settings.write_text(f"{settings.read_text()}STATIC_ROOT = 'collected'\n")
    facts = asking.ask(Path(sys.executable), source, TARGET, {}, source.parent / "static")
    assert facts["static_root"] == str(source / "collected")
    assert [p for p in judging.problems(facts, source, ()) if p.subject == "static"] == []


def test_a_project_may_have_its_static_files_collected(source: Path) -> None:
    python, static = Path(sys.executable), source.parent / "static"
    asking.ask(python, source, TARGET, {}, static)
    kept = source / "staticfiles"
    shutil.copytree(static, kept)
    manifest = json.loads((kept / "staticfiles.json").read_text())
    manifest["paths"]["logo.txt"] = "logo.123456789abc.txt"
    (kept / "staticfiles.json").write_text(json.dumps(manifest))
    (kept / "logo.123456789abc.txt").write_text("made elsewhere")
    given = {"DISABLE_COLLECTSTATIC": "1"}
    facts = asking.ask(python, source, TARGET, given, source.parent / "again")
    assert "logo.123456789abc.txt" in facts["hashed"]
    assert facts["manifest"] == "staticfiles.json"
    assert (source.parent / "again/logo.123456789abc.txt").read_text() == "made elsewhere"
    # Without the variable they are collected anew.
    facts = asking.ask(python, source, TARGET, {}, source.parent / "anew")
    assert "logo.123456789abc.txt" not in facts["hashed"]


def test_static_files_are_collected_again_only_where_they_changed(source: Path) -> None:
    """The collection's name is of all that it was made of, and of nothing else."""
    collections = source.parent / "collections"

    def collect(name: str) -> tuple[str, bool]:
        files = source.parent / name
        facts = asking.ask(Path(sys.executable), source, TARGET, {}, files, collections)
        assert facts["manifest"] == "staticfiles.json"
        found, made = facts["collection"], any(files.iterdir())
        # What was collected before is told by the collection.
        assert any(one.startswith("catalog/style.") for one in facts["hashed"]) is made
        if found and made:
            place = kept(collections / found, lambda _: None)
            told = facts["hashed"], facts["manifest"]
            answers._keep(files, *told, place, source.parent / "gzip")
        return found, made

    first, made = collect("one")
    assert first
    assert made
    (source / "catalog/templates/catalog/home.html").write_text("another page")
    assert collect("two") == (first, False)
    style = source / "catalog/static/catalog/style.css"
    style.write_text(f"{style.read_text()}a {{}}\n")
    second, made = collect("three")
    assert second not in ("", first)
    assert made
    settings = source / "locallibrary/settings.py"
    settings.write_text(f"{settings.read_text()}STATIC_URL = '/assets/'\n")
    third, made = collect("four")
    assert third not in ("", first, second)
    assert made


def test_a_static_file_is_read_only_where_it_is_not_as_it_was_exported(source: Path) -> None:
    """What an export says of ten thousand files is believed."""
    style = source / "catalog/static/catalog/style.css"
    listing = source.parent / "files"

    def collection(listed: Mapping[str, str]) -> str:
        listing.write_bytes(trees.text(listed))
        asked = source.parent / "static", source.parent / "collections", listing
        return str(asking.ask(Path(sys.executable), source, TARGET, {}, *asked)["collection"])

    honest = collection({})
    path = str(style.relative_to(source))
    assert collection({path: f"{object_name(style)} {stamp(style.stat())}"}) == honest
    other = {path: f"{'f' * 64} {stamp(style.stat())}"}
    assert collection(other) != honest
    style.touch()
    assert collection(other) == honest


def test_a_storage_of_the_projects_own_collects_each_time(source: Path) -> None:
    """What its code reads beside the static files is not known."""
    (source / "catalog/storage.py").write_text(
        "from django.contrib.staticfiles.storage import ManifestStaticFilesStorage\n"
        "class Own(ManifestStaticFilesStorage):\n    pass\n"
    )
    settings = source / "locallibrary/settings.py"
    own = "STORAGES['staticfiles']['BACKEND'] = 'catalog.storage.Own'\n"
    settings.write_text(f"{settings.read_text()}{own}")
    files = source.parent / "static"
    collections = source.parent / "collections"
    facts = asking.ask(Path(sys.executable), source, TARGET, {}, files, collections)
    assert facts["collection"] == ""
    assert (files / facts["manifest"]).exists()


def test_a_build_is_given_the_config_vars_that_the_inventory_sets(tmp_path: Path) -> None:
    assert asking.config_vars_of(tmp_path, TARGET) == ({}, ())
    facts = tmp_path / "inventory" / "group_vars" / "staging.yml"
    facts.parent.mkdir(parents=True)
    facts.write_text(
        "---\napp_config_vars:\n  PLAIN: b\n  MADE: '{{ x }}'\n  HIDDEN: !vault |\n    $ANSIBLE\n"
    )
    assert asking.config_vars_of(tmp_path, TARGET) == ({"PLAIN": "b"}, ("HIDDEN",))


def test_a_secret_is_stood_in_for_only_where_nothing_runs_without(source: Path) -> None:
    settings = source / "locallibrary/settings.py"
    text = settings.read_text()
    inventory = source.parent / "inventory/group_vars/staging.yml"
    inventory.parent.mkdir(parents=True)

    def ask(line: str, *hidden: str) -> None:
        settings.write_text(f"{text}{line}\n")
        secret = [f"  {name}: !vault |\n    $ANSIBLE\n" for name in hidden]
        inventory.write_text(f"---\napp_config_vars:\n  PLAIN: b\n{''.join(secret)}")
        revision = Revision(source, "1" * 40, "2" * 40, ".", "", "")
        (source.parent / "files").write_text("0\0")
        export = Export(source, {}, source.parent / "files")
        question = Question(source.parent, export, Path(sys.executable), TARGET, revision)
        question._ask(source.parent / "static")

    with pytest.raises(Refused, match="API_TOKEN"):
        ask("os.environ['API_TOKEN']")
    ask("os.environ['API_TOKEN']; assert os.environ['PLAIN'] == 'b'", "API_TOKEN")
    ask("assert 'API_TOKEN' not in os.environ", "API_TOKEN")
    # What is told is what is wrong with the project, not with the stand-in.
    with pytest.raises(Refused, match="KeyError: 'API_TOKEN'"):
        ask("int(os.environ['API_TOKEN'])", "API_TOKEN")
