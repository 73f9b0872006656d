"""The doctor and what is in a project: its revision, its folder, its packages, wheels on disk."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.build import CONTROLLER_PYTHON
from deploy.console import Console
from deploy.revision import resolve
from deploy.target import Platform
from doctor import packages, project
from doctor.model import Finding, Verdict
from doctor.packages import Packages
from tests.unit.test_build import TARGET
from tests.unit.test_revision import git

HERE = Platform(CONTROLLER_PYTHON, "x86_64")
METADATA = "Metadata-Version: 2.2\nName: {}\nVersion: {}\n"
GOOD = "django==5.2\ngunicorn==23\npsycopg2-binary==2\n"


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder instead of an index; pillow and psycopg2 would have to be compiled."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    wheels = [("django", "5.2"), ("django", "3.2"), ("gunicorn", "23"), ("psycopg2-binary", "2")]
    for name, version in (*wheels, ("psycopg", "3"), ("psycopg-binary", "3")):
        stem = f"{name.replace('-', '_')}-{version}"
        with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
            info = f"{stem}.dist-info"
            extra = "Provides-Extra: binary\n" if name == "psycopg" else ""
            wheel.writestr(f"{info}/METADATA", METADATA.format(name, version) + extra)
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
            wheel.writestr(f"{info}/RECORD", "")
    for name in ("pillow", "psycopg2"):
        with tarfile.open(folder / f"{name}-6.0.tar.gz", "w:gz") as sdist:
            for file, text in (
                ("PKG-INFO", METADATA.format(name, "6.0")),
                ("pyproject.toml", "[build-system]\nrequires = []\nbuild-backend = 'none'\n"),
            ):
                member = tarfile.TarInfo(f"{name}-6.0/{file}")
                member.size = len(text)
                sdist.addfile(member, io.BytesIO(text.encode()))
    # What it is called and needs is not written down: it would have to be built to know.
    with tarfile.open(folder / "ancient_thing-1.0.tar.gz", "w:gz") as sdist:
        member = tarfile.TarInfo("ancient_thing-1.0/setup.py")
        member.size = len(broken := b"raise SystemExit('Python 2')")
        sdist.addfile(member, io.BytesIO(broken))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))


def repository(folder: Path, files: Mapping[str, str]) -> Path:
    root = folder / "repository"
    (root / "app").mkdir(parents=True)
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "First")
    return root


def look(
    folder: Path, files: Mapping[str, str], droplet: Platform = HERE
) -> tuple[list[Finding], Packages | None]:
    root = repository(folder, {f"app/{name}": text for name, text in files.items()})
    revision = resolve(root, "app", None)
    noted: list[str] = []
    return packages.look(folder, revision, root / "app", TARGET, droplet, noted.append)


def test_packages_that_are_all_there(tmp_path: Path) -> None:
    found, there = look(tmp_path, {"requirements.txt": GOOD})
    assert [one.told for one in found] == [
        "gunicorn, psycopg2-binary among the packages",
        f"all 3 can be had for Python {CONTROLLER_PYTHON} on x86_64",
        "5.2",
    ]
    assert there
    assert there.versions["django"] == "5.2"
    assert there.python.exists()


@pytest.mark.parametrize(
    ("named", "command"),
    [
        ("django==5.2\npsycopg2-binary==2\n", "site_extra_packages: [gunicorn]"),
        ("django==5.2\ngunicorn==23\n", 'site_extra_packages: ["psycopg[binary]"]'),
        ("django==3.2\n", "site_extra_packages: [gunicorn, psycopg2-binary]"),
    ],
)
def test_what_only_a_server_needs(tmp_path: Path, named: str, command: str) -> None:
    found, there = look(tmp_path, {"requirements.txt": named})
    assert [(one.verdict, one.command) for one in found if one.hinders] == [
        (Verdict.INVENTORY, command)
    ]
    # As if they were there, so that the rest can be looked at.
    assert there
    assert {"django", "gunicorn"} <= there.versions.keys()


def test_every_package_without_a_wheel_is_named(tmp_path: Path) -> None:
    found, there = look(tmp_path, {"requirements.txt": f"{GOOD}pillow==6.0\npsycopg2==6.0\n"})
    assert [(one.told, one.command) for one in found if one.hinders] == [
        (
            f"pillow 6.0 has no wheel for Python {CONTROLLER_PYTHON}, and cannot be built here",
            "take a version of it that has one, or leave it out",
        ),
        (
            f"psycopg2 6.0 has no wheel for Python {CONTROLLER_PYTHON}, and cannot be built here",
            "name psycopg2-binary instead, which has one",
        ),
    ]
    assert there
    assert there.missing == ("pillow", "psycopg2")


def test_a_package_that_cannot_even_be_asked_what_it_needs(tmp_path: Path) -> None:
    files = {"requirements.txt": f"-r base.txt\n{GOOD}", "base.txt": "Ancient-Thing==1.0  # ours\n"}
    found, there = look(tmp_path, files)
    assert [one.told for one in found if one.hinders] == [
        f"ancient-thing 1.0 has no wheel for Python {CONTROLLER_PYTHON}, and cannot be built here"
    ]
    assert there
    assert there.missing == ("ancient-thing",)


@pytest.mark.parametrize(
    ("files", "told", "command"),
    [
        (
            {"requirements/production.txt": GOOD},
            "requirements/production.txt seems to be meant",
            "echo '-r requirements/production.txt' > requirements.txt",
        ),
        (
            {"Pipfile.lock": json.dumps({"default": {"django": {"version": "==5.2"}}})},
            "a build does not read Pipfile.lock",
            "pipenv requirements > requirements.txt",
        ),
        ({"../requirements.txt": GOOD}, "at the top", "git mv requirements.txt app/"),
    ],
)
def test_packages_that_are_named_elsewhere(
    tmp_path: Path, files: dict[str, str], told: str, command: str
) -> None:
    found, there = look(tmp_path, {"manage.py": "", **files})
    assert (found[0].verdict, told in found[0].told) == (Verdict.PROJECT, True)
    assert found[0].command == command
    assert there
    assert there.versions["django"] == "5.2"


@pytest.mark.parametrize(
    ("files", "told", "command"),
    [
        ({"manage.py": ""}, "no requirements.txt, uv.lock or", "pip freeze > requirements.txt"),
        ({"poetry.lock": ""}, "no requirements.txt, uv.lock or", "poetry export"),
        ({"requirements.txt": "nobody-has-this==7\n"}, "nobody-has-this", ""),
        ({"pyproject.toml": "[project\n"}, "pyproject.toml cannot be read", ""),
    ],
)
def test_packages_that_nobody_can_install(
    tmp_path: Path, files: dict[str, str], told: str, command: str
) -> None:
    (found,), there = look(tmp_path, files)
    assert there is None
    assert (found.verdict, told in found.told) == (Verdict.PROJECT, True), found
    assert found.command.startswith(command)


def test_of_several_versions_the_one_for_the_droplet_counts() -> None:
    lock = """\
django==5.2 ; python_full_version < '3.12' \\
    --hash=sha256:00
django==6.0 ; python_full_version >= '3.12' \\
    --hash=sha256:00
Zope.Interface==7 --hash=sha256:00
mine @ file:///mine.whl  # ours
"""
    assert packages.versions(lock, "3.11") == {"django": "5.2", "zope-interface": "7", "mine": ""}
    assert packages.versions(lock, "3.13")["django"] == "6.0"


@pytest.mark.parametrize(("python", "told"), [("3.13", True), (CONTROLLER_PYTHON, False)])
def test_a_django_that_is_too_old_for_the_droplet(tmp_path: Path, python: str, told: bool) -> None:
    named = "django==3.2\ngunicorn==23\npsycopg2-binary==2\n"
    found, _ = look(tmp_path, {"requirements.txt": named}, Platform(python, "x86_64"))
    assert any("module cgi" in one.told for one in found) is told


def whole(folder: Path, root: Path, place: str = "app") -> list[Finding]:
    target = replace(TARGET, source=str(root), project=place)
    return project.look(folder, target, HERE, None, False, Console(as_json=True))


def test_without_django_in_the_packages(tmp_path: Path) -> None:
    root = repository(tmp_path, {"manage.py": "", "requirements.txt": GOOD.partition("\n")[2]})
    found = [one for one in whole(tmp_path, root, ".") if one.hinders]
    assert [one.told for one in found] == [
        "Django is not among the packages",
        "do not load: ModuleNotFoundError: No module named 'django'",
    ]


@pytest.mark.parametrize(
    ("files", "subject", "told", "command"),
    [
        ({"README": ""}, "manage.py", "has no manage.py", ""),
        (
            {"src/manage.py": "", "src/tests/manage.py": ""},
            "manage.py",
            "not in app/, but in src, src/tests",
            "site_project: src",
        ),
    ],
)
def test_where_manage_py_is(
    tmp_path: Path, files: dict[str, str], subject: str, told: str, command: str
) -> None:
    (found, *_) = whole(tmp_path, repository(tmp_path, files))
    assert (found.subject, found.command) == (subject, command)
    assert told in found.told


def test_changes_that_are_not_committed_are_told(tmp_path: Path) -> None:
    root = repository(tmp_path, {"app/manage.py": ""})
    (root / "app/manage.py").write_text("changed\n")
    (found, *_) = whole(tmp_path, root)
    assert (found.subject, found.hinders) == ("revision", True)
    assert "1 changes that are not committed" in found.told


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    (found,) = whole(tmp_path, tmp_path / "nowhere")
    assert (found.subject, found.verdict) == ("revision", Verdict.PROJECT)
    assert "is no folder" in found.told


def test_a_python_that_the_droplet_has_not(tmp_path: Path) -> None:
    root = repository(tmp_path, {"app/manage.py": "", "app/runtime.txt": "python-2.7.18"})
    (found,) = [one for one in whole(tmp_path, root) if one.subject == "Python"]
    assert (found.verdict, "asks for Python 2.7.18" in found.told) == (Verdict.PROJECT, True)
