"""What Django says of a project before it is uploaded, by in_project.py in the project itself."""

import shutil
import sys
from pathlib import Path

import pytest

from deploy import build
from tests.unit.test_build import TARGET

ROOT = Path(__file__).parents[2]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """LocalLibrary, to be changed."""
    return Path(shutil.copytree(ROOT / "app", tmp_path / "app"))


def warnings(source: Path) -> list[str]:
    facts = build._ask_project(Path(sys.executable), source, TARGET, source.parent / "static")
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
