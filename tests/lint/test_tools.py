"""One test for each tool that reads the tree. The settings are in pyproject.toml."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from audits import packages

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
SHELL_SCRIPTS = ["bin/_bootstrap", "bin/demo", "bin/test", ".ci/run"]
LOCK_FILES = [
    "requirements.txt",
    "app/requirements.txt",
    "roles/git_push/files/requirements.txt",
]


def run(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [shutil.which(tool, path=str(BIN)) or tool, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def passes(tool: str, *arguments: str) -> None:
    """Fail with the tool's own words unless it exits with 0."""
    done = run(tool, *arguments)
    if done.returncode:
        command = " ".join([tool, *arguments])
        pytest.fail(f"$ {command}\n{done.stdout}{done.stderr}", pytrace=False)


def test_ruff_check() -> None:
    passes("ruff", "check")


def test_ruff_format() -> None:
    passes("ruff", "format", "--check", "--diff")


def test_mypy() -> None:
    passes("mypy")


def test_import_linter() -> None:
    passes("lint-imports", "--no-logo")


def test_ansible_lint() -> None:
    passes("ansible-lint", "--offline", "--profile", "production", "--strict", "--nocolor", "-q")


def test_shellcheck() -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed; as root on Debian bin/test installs it")
    passes("shellcheck", "--external-sources", "--source-path=SCRIPTDIR", *SHELL_SCRIPTS)


@pytest.mark.parametrize("lock_file", LOCK_FILES)
def test_locked_packages_have_no_known_holes(lock_file: str) -> None:
    answer = packages.ask(ROOT / lock_file, "--require-hashes")
    assert not answer.holes, "\n".join(answer.holes)
    if answer.skipped:
        pytest.skip(answer.skipped)


def test_every_locked_package_has_a_hash() -> None:
    for lock_file in LOCK_FILES:
        for block in (ROOT / lock_file).read_text().replace("\\\n", "").splitlines():
            if "==" in block and not block.lstrip().startswith("#"):
                assert "--hash=sha256:" in block, f"{lock_file}: {block.split()[0]} has no hash"


def test_the_release_tool_imports_only_the_standard_library() -> None:
    """The droplet's bare python3 runs it.

    in_django/ runs inside a release: it may use Django, and the linter that is shipped beside it.
    """
    allowed = {*sys.stdlib_module_names, "deploy"}
    host = ROOT / "deploy" / "host"
    for path in sorted(host.rglob("*.py")):
        extra = {"django", "django_migration_linter"} if "in_django" in path.parts else set()
        for node in ast.walk(ast.parse(path.read_text(), str(path))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            for name in names:
                assert name.split(".")[0] in allowed | extra, f"{path.relative_to(ROOT)}: {name}"
