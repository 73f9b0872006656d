"""Packages for the droplet: wheels as they are, and what is built on this machine."""

import hashlib
import io
import sys
import tarfile
from pathlib import Path

import pytest

from deploy.errors import Refused
from deploy.packages import glibc_of, unpack
from deploy.target import Platform

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
# A build backend that needs nothing: it packs one module under the tag that it is told.
BACKEND = """\
import zipfile


def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "sources-1.0-{tag}.whl"
    info = "sources-1.0.dist-info"
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        wheel.writestr("sources.so", {module!r})
        head = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n"
        wheel.writestr(info + "/WHEEL", head + "Tag: {tag}\\n")
        head = "Metadata-Version: 2.1\\n"
        wheel.writestr(info + "/METADATA", head + "Name: sources\\nVersion: 1.0\\n")
        wheel.writestr(info + "/entry_points.txt", "[console_scripts]\\nrun = sources:main\\n")
        wheel.writestr(info + "/RECORD", "sources.so,,\\n")
    return name
"""
PROJECT = """\
[project]
name = "sources"
version = "1.0"
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    # What was built of another test's source would be taken for this one's.
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))


def locked(folder: Path, tag: str, module: bytes = b"") -> Path:
    """Requirements that name a package which comes as source alone."""
    archive = folder / "sources-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, text in (
            ("pyproject.toml", PROJECT),
            ("backend.py", BACKEND.format(tag=tag, module=module)),
            ("PKG-INFO", "Metadata-Version: 2.1\nName: sources\nVersion: 1.0\n"),
        ):
            entry = tarfile.TarInfo(f"sources-1.0/{name}")
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    requirements = folder / "requirements.txt"
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    requirements.write_text(f"sources @ {archive.as_uri()} --hash=sha256:{digest}\n")
    return requirements


def test_source_that_needs_no_compiler_is_like_a_wheel(tmp_path: Path) -> None:
    notes: list[str] = []
    requirements = locked(tmp_path, "py3-none-any")
    unpack(requirements, Platform("3.13", "x86_64"), tmp_path / "out", notes.append)
    assert (tmp_path / "out" / "sources.so").exists()
    assert notes == []


def test_nothing_tells_which_machine_unpacked_it(tmp_path: Path) -> None:
    """Scripts have their interpreter's path, so two builders of one lock would disagree."""
    requirements = locked(tmp_path, "py3-none-any")
    unpack(requirements, Platform("3.13", "x86_64"), tmp_path / "out", print)
    assert not (tmp_path / "out" / "bin").exists()
    record = (tmp_path / "out" / "sources-1.0.dist-info" / "RECORD").read_text()
    assert [line for line in record.splitlines() if "run" in line.partition(",")[0]] == []
    assert "sources.so," in record


def tag(python: str) -> str:
    version = "cp" + python.replace(".", "")
    return f"{version}-{version}-linux_x86_64"


def test_what_was_compiled_here_is_said(tmp_path: Path) -> None:
    notes: list[str] = []
    requirements = locked(tmp_path, tag(HERE), b"GLIBC_2.2.5 GLIBC_2.34")
    unpack(requirements, Platform(HERE, "x86_64"), tmp_path / "out", notes.append)
    assert notes == ["sources 1.0 was compiled here; libraries it needs go to site_packages"]


def test_compiled_for_another_python_is_refused(tmp_path: Path) -> None:
    other = "3.13" if HERE != "3.13" else "3.12"
    with pytest.raises(Refused, match=f"sources has no wheel for Python {other} on x86_64"):
        unpack(locked(tmp_path, tag(HERE)), Platform(other, "x86_64"), tmp_path / "out", print)


def test_compiled_for_a_newer_system_is_refused(tmp_path: Path) -> None:
    requirements = locked(tmp_path, tag(HERE), b"GLIBC_2.9 GLIBC_2.38 GLIBC_2.4")
    with pytest.raises(Refused, match=r"needs glibc 2\.38, newer than a droplet's"):
        unpack(requirements, Platform(HERE, "x86_64"), tmp_path / "out", print)


def test_the_newest_symbol_counts() -> None:
    assert glibc_of(b"\0GLIBC_2.4\0GLIBC_2.17\0GLIBC_2.9") == 17
    assert glibc_of(b"") == 0
