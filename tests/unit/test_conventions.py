"""What a project declares is obeyed: its packages, its Python."""

import zipfile
from pathlib import Path

import pytest

from deploy.conventions import locked_requirements, python_problem
from deploy.errors import Refused

ROOT = Path(__file__).parents[2]
HASHED = "django==5.2 --hash=sha256:00\n"


@pytest.fixture
def noted() -> list[str]:
    return []


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")


@pytest.fixture
def wheels(tmp_path: Path) -> dict[str, str]:
    """Requirements by name, each of a wheel on this disk."""
    found = {}
    for name in ("library", "server"):
        path = tmp_path / f"{name}-1.0-py3-none-any.whl"
        info = f"{name}-1.0.dist-info"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(
                f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
            )
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
            wheel.writestr(f"{info}/RECORD", "")
        found[name] = f"{name} @ {path.as_uri()}"
    return found


def lock(folder: Path, noted: list[str], *extra: str) -> Path:
    return locked_requirements(folder / "app", "app", extra, "3.11", folder / "kept", noted.append)


def project(folder: Path, **files: str) -> None:
    (folder / "app").mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / "app" / name.replace("_", ".")).write_text(text)


def test_a_lock_file_of_its_own_is_taken_as_it_is(tmp_path: Path, noted: list[str]) -> None:
    project(tmp_path, requirements_txt=HASHED)
    assert lock(tmp_path, noted) == tmp_path / "app/requirements.txt"
    assert noted == []


def test_without_hashes_it_is_resolved_once_and_said(
    tmp_path: Path, noted: list[str], wheels: dict[str, str]
) -> None:
    project(tmp_path, requirements_txt=wheels["library"])
    path = lock(tmp_path, noted)
    assert "--hash=sha256:" in path.read_text()
    assert [text for text in noted if "resolved to" in text and str(path) in text]
    assert lock(tmp_path, noted) == path
    assert len(noted) == 1
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name]


def test_the_inventory_may_add_packages(
    tmp_path: Path, noted: list[str], wheels: dict[str, str]
) -> None:
    project(tmp_path, requirements_txt=wheels["library"])
    text = lock(tmp_path, noted, wheels["server"]).read_text()
    assert "library" in text
    assert "server" in text
    assert lock(tmp_path, noted).read_text().count("@ file") == 1


def test_a_changed_question_is_asked_again(
    tmp_path: Path, noted: list[str], wheels: dict[str, str]
) -> None:
    project(tmp_path, requirements_txt=f"-r base.in\n{wheels['library']}\n", base_in="")
    first = lock(tmp_path, noted)
    project(tmp_path, base_in=wheels["server"])
    second = lock(tmp_path, noted)
    assert second != first
    assert "server" in second.read_text()


def test_dependencies_of_pyproject_toml_are_enough(
    tmp_path: Path, noted: list[str], wheels: dict[str, str]
) -> None:
    text = f'[project]\nname = "a"\nversion = "1"\ndependencies = ["{wheels["library"]}"]\n'
    project(tmp_path, pyproject_toml=text)
    assert "library" in lock(tmp_path, noted).read_text()


@pytest.mark.parametrize("files", [{}, {"pyproject_toml": "[tool.ruff]\n"}])
def test_a_project_that_names_no_packages_is_refused(
    tmp_path: Path, noted: list[str], files: dict[str, str]
) -> None:
    project(tmp_path, **files)
    with pytest.raises(Refused, match=r"app/ has no requirements\.txt"):
        lock(tmp_path, noted)


def test_what_cannot_be_resolved_is_refused_and_leaves_nothing(
    tmp_path: Path, noted: list[str]
) -> None:
    project(tmp_path, requirements_txt="no-such-package-anywhere==7\n")
    with pytest.raises(Refused, match="uv pip compile failed"):
        lock(tmp_path, noted)
    assert list((tmp_path / "kept").iterdir()) == []


@pytest.mark.parametrize(
    ("files", "python", "said"),
    [
        ({}, "3.11", None),
        ({".python-version": "3.11\n"}, "3.13", None),
        ({".python-version": "3.13.2"}, "3.13", None),
        (
            {".python-version": "# Ours.\n3.13\n"},
            "3.11",
            "app/.python-version asks for Python 3.13",
        ),
        ({".python-version": "# Ours: 3.13\n"}, "3.11", None),
        ({".python-version": "3.13"}, "3.11", "app/.python-version asks for Python 3.13"),
        ({"runtime.txt": "python-3.9.18"}, "3.11", None),
        ({"runtime.txt": "python-2.7.18"}, "3.11", "app/runtime.txt asks for Python 2.7.18"),
        ({"runtime.txt": "pypy3.10-7.3"}, "3.11", None),
        ({"pyproject.toml": "[project]\nrequires-python = '>=3.12'\n"}, "3.13", None),
        ({"pyproject.toml": "[project]\nrequires-python = '>=3.11.4'\n"}, "3.11", None),
        ({"pyproject.toml": "[project]\nrequires-python = '>=3.12'\n"}, "3.11", "Python >=3.12"),
        ({"pyproject.toml": "[project]\nrequires-python = '<3.13'\n"}, "3.13", "Python <3.13"),
        ({"pyproject.toml": "[project]\nrequires-python = 'new'\n"}, "3.13", "is no version"),
    ],
)
def test_the_droplets_python_is_held_against_what_the_project_asks_for(
    tmp_path: Path, files: dict[str, str], python: str, said: str | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    problem = python_problem(tmp_path, "app", python)
    assert said in problem if said and problem else problem is said


@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_the_sample_site_runs_on_both_debians(python: str) -> None:
    assert python_problem(ROOT / "app", "app", python) is None
