"""What a build takes over of the packages of an earlier one."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from deploy.artifact import TREE, tree_of
from deploy.kept import WHOLE
from deploy.takeover import MADE_OF, entries, taken_over

LOCK = """\
# made by a tool
Django==5.2 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via -r requirements.in
ruamel.yaml==0.18 ; python_version < "3.13" --hash=sha256:cc
"""


def test_a_lock_file_is_read_by_package() -> None:
    assert entries(LOCK) == {
        "django": ["Django==5.2 --hash=sha256:aa --hash=sha256:bb"],
        "ruamel-yaml": ['ruamel.yaml==0.18 ; python_version < "3.13" --hash=sha256:cc'],
    }
    assert entries("--only-binary :all:\na==1\n") == {"": ["--only-binary :all:"], "a": ["a==1"]}
    # A fragment of an address is no comment.
    assert entries("a @ https://host/a.whl#sha256=1  # why\n") == {
        "a": ["a @ https://host/a.whl#sha256=1"]
    }


class Builds:
    """A folder of builds, whose packages are a file of their name each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "builds"
        self.folder.mkdir()
        self.removed: list[str] = []
        self.named: dict[str, str] = {}

    def make(self, name: str, lock: str, made_for: Sequence[str] = ("3.13",)) -> Path:
        requirements = self.folder.parent / "requirements.txt"
        requirements.write_text(lock)
        draft = self.folder / name
        self.removed = []

        def uninstall(names: Sequence[str]) -> None:
            self.removed = list(names)
            for package in names:
                (draft / package).unlink()

        with taken_over(draft, requirements, made_for, uninstall) as known:
            draft.mkdir(exist_ok=True)
            for package in filter(None, entries(lock)):
                if not (draft / package).exists():
                    (draft / package).write_text(name)
            self.named = tree_of(draft, names=known)
        # Of the files taken over nothing is read: they are called what they were called.
        called = {path: f"{name}'s {path}" for path in self.named}
        (draft / TREE).write_text(json.dumps(called))
        (draft / WHOLE).touch()
        return draft


@pytest.fixture
def builds(tmp_path: Path) -> Builds:
    return Builds(tmp_path)


def who_made(build: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in build.iterdir() if path.name[0] != "."}


def test_only_what_the_lock_file_says_anew_is_made_anew(builds: Builds) -> None:
    one = builds.make("one", "a==1 --hash=x\nb==1\nc==1\n")
    two = builds.make("two", "a==1 --hash=y\nb==1\nd==1\n")
    assert builds.removed == ["a", "c"]
    assert who_made(two) == {"a": "two", "b": "one", "d": "two"}
    assert (two / "b").samefile(one / "b")
    assert builds.named["b"] == "one's b"
    assert builds.named["a"] == hashlib.sha256(b"two").hexdigest()
    # What is told of a build is its own, and the earlier one is as it was.
    assert who_made(one) == {"a": "one", "b": "one", "c": "one"}
    assert json.loads((one / TREE).read_text())["a"] == "one's a"
    assert not (two / MADE_OF).samefile(one / MADE_OF)


@pytest.mark.parametrize(("lock", "made_for"), [("a==1\n", ["3.12"]), ("--pre\na==1\n", ["3.13"])])
def test_nothing_of_another_platform_or_with_other_options(
    builds: Builds, lock: str, made_for: list[str]
) -> None:
    builds.make("one", "a==1\n")
    assert who_made(builds.make("two", lock, made_for)) == {"a": "two"}


def test_nothing_of_a_build_that_does_not_say_what_it_is_made_of(builds: Builds) -> None:
    one = builds.make("one", "a==1\n")
    (one / MADE_OF).write_text("{")
    assert who_made(builds.make("two", "a==1\n")) == {"a": "two"}


def test_one_that_was_not_finished_is_not_begun_with(builds: Builds, tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("a==1\n")
    draft = builds.folder / "broken"

    def fail() -> None:
        with taken_over(draft, requirements, ["3.13"], lambda names: None):
            draft.mkdir()
            (draft / "a").write_text("broken")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert who_made(builds.make("two", "a==1\n")) == {"a": "two"}


def test_a_file_that_was_written_to_is_read_again(builds: Builds) -> None:
    one = builds.make("one", "a==1\nb==1\n")
    draft, requirements = builds.folder / "two", builds.folder.parent / "requirements.txt"
    with taken_over(draft, requirements, ["3.13"], lambda names: None) as known:
        (draft / "a").write_text("otherwise")
        named = tree_of(draft, names=known)
    assert named == {"a": hashlib.sha256(b"otherwise").hexdigest(), "b": "one's b"}
    assert (one / "a").read_text() == "otherwise"
