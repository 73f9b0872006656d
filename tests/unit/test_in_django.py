"""The scripts that run inside a project, run inside one: small, with SQLite."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from deploy.host import project
from deploy.host.context import Context
from tests.unit.test_health import RELEASE, SITE, Silent, Unit

FILES = {
    "shop/__init__.py": "",
    "shop/migrations/__init__.py": "",
    "shop/migrations/0001_initial.py": """
class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel("Author", [("id", models.AutoField(primary_key=True))]),
        migrations.CreateModel(
            "Book",
            [("id", models.AutoField(primary_key=True)), ("title", models.CharField(max_length=9))],
        ),
    ]
""",
    "shop/migrations/0002_isbn.py": """
class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.AddField("Book", "isbn", models.CharField(max_length=13, null=True)),
        migrations.CreateModel("Reader", [("id", models.AutoField(primary_key=True))]),
    ]
""",
    "shop/migrations/0003_name.py": """
class Migration(migrations.Migration):
    dependencies = [("shop", "0002_isbn")]
    operations = [migrations.AlterModelTable("Author", "authors")]
""",
    "shop/migrations/0004_fill.py": """
def fill(apps, schema_editor):
    apps.get_model("shop", "Book").objects.create(title="Ficciones", isbn="9788420633121")

class Migration(migrations.Migration):
    dependencies = [("shop", "0003_name")]
    operations = [migrations.RunPython(fill)]
""",
    "settings.py": """
SECRET_KEY = "none"
ALLOWED_HOSTS = ["mysite.example.org"]
INSTALLED_APPS = ["shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
""",
    # One process for all the scripts, each run as the manage helper runs it.
    "run.py": """
import contextlib, io, json, sys
import django
from django.core.management import call_command
django.setup()
for command in json.load(sys.stdin):
    said, code = io.StringIO(), 0
    with contextlib.redirect_stdout(said):
        try:
            call_command(*command)
        except SystemExit as left:
            code = left.code
    print(json.dumps([code, said.getvalue()]))
""",
}
INITIAL, ISBN, NAME, FILL = (
    f"shop.{n}" for n in ("0001_initial", "0002_isbn", "0003_name", "0004_fill")
)


class Project:
    """Scripts and commands to run there, and what they answered."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._commands: list[tuple[str, ...]] = []
        site = replace(SITE, root=str(folder))
        self._ctx = Context(site, Unit(), Silent(), who="ada", command="deploy")
        self._ctx.layout.release(RELEASE.id).mkdir(parents=True)
        # The linter as it is installed here; on the droplet it is a folder of the release.
        judge = self._ctx.layout.release(RELEASE.id) / "judge"
        judge.symlink_to(str(metadata.distribution("django-migration-linter").locate_file("")))
        head = "from django.db import migrations, models\n"
        for name, text in FILES.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text((head if "migrations/0" in name else "") + text)

    def django(self, *command: str) -> None:
        self._commands.append(command)

    def script(self, *names: str, **facts: Any) -> None:
        argv = project.argv(self._ctx, RELEASE, *names, **facts)
        self._commands.append(argv[argv.index("shell") :])

    def alone(self, name: str, given: str = "") -> str:
        """What a script answers that works with its standard input and output."""
        argv = project.argv(self._ctx, RELEASE, name)
        start = f"import django\ndjango.setup()\n{argv[-1]}"
        done = subprocess.run(
            (sys.executable, "-c", start),
            cwd=self._folder,
            env={"DJANGO_SETTINGS_MODULE": "settings", "PYTHONDONTWRITEBYTECODE": "1"},
            input=given,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self) -> list[Any]:
        """Per script or command what it answered, or the sentence it gave up with."""
        done = subprocess.run(
            (sys.executable, "run.py"),
            cwd=self._folder,
            env={"DJANGO_SETTINGS_MODULE": "settings", "PYTHONDONTWRITEBYTECODE": "1"},
            input=json.dumps(self._commands),
            capture_output=True,
            text=True,
        )
        self._commands.clear()
        assert done.returncode == 0, done.stderr
        return [self._answer(*json.loads(line)) for line in done.stdout.splitlines()]

    def _answer(self, code: int | str, said: str) -> Any:
        return code or project.answer(subprocess.CompletedProcess((), 0, said, ""))


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_migrations_are_judged_applied_and_taken_back(shop: Project) -> None:
    lock = {"lock_timeout": 5}
    shop.script("plan")
    shop.script("plan", whole=True)
    shop.django("migrate", "shop", "0001", "--verbosity=0")
    shop.script("plan")
    shop.script("migrate", **lock)
    shop.script("plan")
    shop.script("reverse", migrations=[ISBN, NAME, FILL, "shop.0005_never_applied"])
    # Only 0004 cannot be reversed; Django itself may forget it.
    shop.django("migrate", "shop", "0003", "--fake", "--verbosity=0")
    shop.script("migrate", reverse=[ISBN], **lock)
    shop.script("migrate", reverse=[NAME, ISBN], **lock)
    shop.script("plan")
    empty, told, _, old, _, done, back, _, refused, _, reversed_ = shop.run()

    assert (empty["debug"], empty["allowed_hosts"]) == (False, ["mysite.example.org"])
    assert [m["name"] for m in empty["pending"]] == [INITIAL, ISBN, NAME, FILL]
    # Nothing serves from an empty database yet.
    assert (empty["applied"], [m["breaks"] for m in empty["pending"]]) == ([], [[]] * 4)
    assert {m["sql"] for m in empty["pending"]} == {""}
    assert all("BEGIN" in m["sql"] or m["name"] == FILL for m in told["pending"])

    assert old["applied"] == [INITIAL]
    breaks = {m["name"]: m["breaks"] for m in old["pending"]}
    assert breaks == {ISBN: [], NAME: ["RENAMING tables"], FILL: []}
    assert 'ADD COLUMN "isbn"' in old["pending"][0]["sql"]

    assert (done["pending"], done["applied"]) == ([], [INITIAL, ISBN, NAME, FILL])

    facts = {m["name"]: (m["reversible"], m["losses"]) for m in back["migrations"]}
    assert facts[NAME] == (True, [])
    assert facts[FILL] == (False, [])
    assert [m["name"] for m in back["migrations"] if m["breaks"]] == [NAME]

    assert refused == f"reversing would also take back {NAME}, which the older release needs"
    assert reversed_["applied"] == [INITIAL]


def test_an_empty_database_is_filled_in_the_same_breath(shop: Project) -> None:
    shop.script("plan", "migrate", lock_timeout=5)
    shop.script("plan")
    filled, after = shop.run()
    assert (filled["applied"], len(filled["pending"])) == ([], 4)
    assert (len(after["applied"]), after["pending"]) == (4, [])


def test_one_that_is_not_empty_is_only_looked_at(shop: Project) -> None:
    shop.django("migrate", "shop", "0001", "--verbosity=0")
    shop.script("plan", "migrate", lock_timeout=5)
    shop.script("plan")
    _, looked, after = shop.run()
    assert looked["applied"] == after["applied"] == [INITIAL]
    assert [m["name"] for m in looked["pending"]] == [ISBN, NAME, FILL]


@pytest.mark.parametrize(
    "settings", ["DEBUG = True", "ALLOWED_HOSTS = []", "ALLOWED_HOSTS = ['*']"]
)
def test_what_is_refused_is_not_filled(shop: Project, tmp_path: Path, settings: str) -> None:
    with (tmp_path / "settings.py").open("a") as file:
        file.write(f"\n{settings}\n")
    shop.script("plan", "migrate", lock_timeout=5)
    shop.script("plan")
    looked, after = shop.run()
    assert looked["applied"] == after["applied"] == []


def test_what_reversing_would_lose_is_counted(shop: Project) -> None:
    shop.script("migrate", lock_timeout=5)
    shop.script("reverse", migrations=[ISBN])
    _, back = shop.run()
    assert back["migrations"][0]["losses"] == [
        "column shop_book.isbn: 1 values",
        "table shop_reader: 0 rows",
    ]


def test_the_size_of_a_file_is_the_database_s(shop: Project, tmp_path: Path) -> None:
    shop.script("database")
    shop.script("migrate", lock_timeout=5)
    shop.script("database")
    empty, _, filled = shop.run()
    assert empty == {"bytes": 0, "written": None}
    assert filled == {"bytes": (tmp_path / "db.sqlite3").stat().st_size, "written": None}


def test_a_database_in_a_file_comes_back(shop: Project, tmp_path: Path) -> None:
    shop.django("migrate", "shop", "0002", "--verbosity=0")
    shop.run()
    with closing(sqlite3.connect(tmp_path / "db.sqlite3")) as database, database:
        database.execute("INSERT INTO shop_book (title) VALUES ('Pale ''ü; fire')")
    dump = shop.alone("dump")
    shop.script("migrate", lock_timeout=5)
    shop.run()
    shop.alone("restore", dump)
    with closing(sqlite3.connect(tmp_path / "db.sqlite3")) as database:
        titles = database.execute("SELECT title FROM shop_book").fetchall()
        tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master")}
        applied = database.execute("SELECT count(*) FROM django_migrations").fetchone()
    assert titles == [("Pale 'ü; fire",)]
    assert "authors" not in tables
    assert applied == (2,)
