"""What a lock holds, in CycloneDX's words."""

import json
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy import sbom
from deploy.host.changes import SBOM

DJANGO = "Metadata-Version: 2.4\nName: Django\nVersion: 5.2.19\nLicense-Expression: BSD-3-Clause\n"
SOLO = "Metadata-Version: 2.1\nName: solo_part\nVersion: 1.0\nLicense: long\n        text\n"


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    for name, text in {"django-5.2.19": DJANGO, "solo_part-1.0": SOLO}.items():
        folder = tmp_path / "packages" / f"{name}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(text)
    return tmp_path / "packages"


def written(packages: Path, folder: Path, lock: str = "00ff") -> str:
    folder.mkdir()
    sbom.write(packages, lock, folder)
    return (folder / SBOM).read_text()


def test_every_package_is_listed_with_what_identifies_it(packages: Path, tmp_path: Path) -> None:
    document = json.loads(written(packages, tmp_path / "a"))
    assert [(part["name"], part["version"], part["purl"]) for part in document["components"]] == [
        ("Django", "5.2.19", "pkg:pypi/django@5.2.19"),
        ("solo_part", "1.0", "pkg:pypi/solo-part@1.0"),
    ]
    assert document["components"][0]["licenses"] == [{"license": {"id": "BSD-3-Clause"}}]
    assert document["metadata"]["component"]["version"] == "00ff"
    assert {"ref": "00ff", "dependsOn": ["pkg:pypi/django@5.2.19", "pkg:pypi/solo-part@1.0"]} in (
        document["dependencies"]
    )


def test_the_document_is_valid_cyclonedx(packages: Path, tmp_path: Path) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(written(packages, tmp_path / "a")) is None


def test_equal_locks_have_equal_documents(packages: Path, tmp_path: Path) -> None:
    first = written(packages, tmp_path / "a")
    assert first == written(packages, tmp_path / "b")
    assert first != written(packages, tmp_path / "c", lock="00aa")
