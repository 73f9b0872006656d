"""Bytecode that is made once for each source."""

import hashlib
import subprocess
import sys
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from deploy.host import bytecode, objects

SAYS = "import sys\nsys.modules[__name__].said = (lambda: 0).__code__.co_filename\n"
SOURCES = {"pages.py": SAYS, "inner/forms.py": "FORM = 1\n", "template.py": "no {{ python }}"}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


def lay_out(folder: Path, sources: dict[str, str]) -> dict[str, str]:
    """The sources in a folder; returns their tree."""
    for name, text in sources.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in sources.items()}


def compiled(source: Path) -> Path:
    return Path(cache_from_source(str(source)))


@pytest.mark.parametrize("count", [0, 2 * bytecode.FEW])
def test_what_has_not_changed_is_not_compiled_again(
    store: Path, tmp_path: Path, count: int
) -> None:
    many = {f"more/m{number}.py": f"NUMBER = {number}\n" for number in range(count)}
    old, new = tmp_path / "old", tmp_path / "new"
    bytecode.complete(store, lay_out(old, {**SOURCES, **many}), old)
    bytecode.complete(store, lay_out(new, {**SOURCES, **many, "pages.py": "PAGE = 2\n"}), new)
    for name in ("inner/forms.py", *many):
        assert compiled(new / name).samefile(compiled(old / name))
    assert not compiled(new / "pages.py").samefile(compiled(old / "pages.py"))
    assert not compiled(new / "template.py").exists()


def test_code_says_where_it_runs_and_not_where_it_was_compiled(store: Path, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        bytecode.complete(store, lay_out(folder, SOURCES), folder)
    argv = (sys.executable, "-B", "-c", "import pages; print(pages.said, pages.__cached__)")
    said = subprocess.run(argv, cwd=new, capture_output=True, text=True, check=True).stdout
    assert said.split() == [str(new / "pages.py"), str(compiled(new / "pages.py"))]


def test_bytecode_that_was_written_to_is_made_anew(store: Path, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    bytecode.complete(store, lay_out(old, SOURCES), old)
    evil = compiled(old / "inner/forms.py")
    evil.chmod(0o644)
    evil.write_bytes(b"evil")
    bytecode.complete(store, lay_out(new, SOURCES), new)
    assert compiled(new / "inner/forms.py").read_bytes() != b"evil"
    assert not compiled(new / "inner/forms.py").samefile(evil)


def test_bytecode_of_no_release_is_collected(store: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    bytecode.complete(store, lay_out(old, SOURCES), old)
    (kept,) = store.iterdir()
    assert len(list(kept.iterdir())) == 2
    compiled(old / "pages.py").unlink()
    objects.collect_garbage(store, ())
    assert [path.name for path in kept.iterdir()] == [
        f"{hashlib.sha256(SOURCES['inner/forms.py'].encode()).hexdigest()}.pyc"
    ]
