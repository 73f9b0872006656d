"""What pages and messages say must exist: files they link to, commands they show."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("roles/*/README.md")])


def names(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="session")
def tasks() -> set[str]:
    """Every task that invoke knows, by each of its names."""
    invoke = Path(sys.executable).with_name("invoke")
    listed = subprocess.run(
        [str(invoke), "--list", "--list-format=flat"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.findall(r"^  (\S+)(?: \(([^)]+)\))?", listed.stdout, re.MULTILINE)
    return {name for names_ in found for name in names_ if name}


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not link.startswith(("http", "#", "mailto:")):
            assert (page.parent / link.partition("#")[0]).exists(), f"{names(page)}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_invoke_commands_exist(page: Path, tasks: set[str]) -> None:
    """In code, `invoke word`: the word is a task."""
    code = re.findall(r"```.*?```|`[^`\n]+`", page.read_text(), re.DOTALL)
    for word in re.findall(r"\binvoke ([a-z][a-z.-]*)", "\n".join(code)):
        assert word in tasks, f"{names(page)}: invoke {word}"


def test_the_commands_that_messages_advise_exist(tasks: set[str]) -> None:
    sources = [
        path
        for folder in ("app", "bin", "deploy", "lab", "roles", "inventory")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix in {"", ".py", ".yml", ".j2", ".in"}
    ]
    advised = {
        (match, names(path))
        for path in sources
        for match in re.findall(
            r"(?:[Rr]un|with|Look|Wait)[:,]? invoke ([a-z][a-z.]*)", path.read_text()
        )
    }
    assert advised
    assert {(task, name) for task, name in advised if task.rstrip(".") not in tasks} == set()
