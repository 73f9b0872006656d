"""What goes to a droplet that builds by itself, and that nothing does unless it is asked for."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

from deploy.shipping import tool
from tests.templates.render import ROOT, render, value

LIBRARY = "/usr/local/lib/slipway"
# Looked up beside the role's tasks, which a template rendered alone does not have.
LOCK = "a lock"
# Reads what was imported, the build too, which a push imports later, and what the release tool is
# called that it would bring.
REPORT = """
import json, sys
sys.path.insert(0, sys.argv[1])
import deploy.build
import deploy.git_push
from deploy.shipping import tool
print(json.dumps([tool().digest, [name for name in sys.modules if name.startswith("deploy.")]]))
"""


def role(expression: str, **changes: Any) -> Any:
    changes = {"role_path": str(ROOT / "roles" / "git_push"), "__git_push_lock": LOCK, **changes}
    return value("git_push", expression, **changes)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the droplet's would."""
    there = tmp_path_factory.mktemp("slipway")
    (there / "deploy").mkdir()
    for entry in role("__git_push_program"):
        path = there / str(entry["path"]).removeprefix(f"{LIBRARY}/")
        if "content" in entry:
            path.write_text(entry["content"])
        else:
            path.mkdir(exist_ok=True)
    return there


def test_exactly_the_modules_that_a_push_needs_go_there(program: Path) -> None:
    done = subprocess.run(
        (sys.executable, "-I", "-c", REPORT, str(program)), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    digest, imported = json.loads(done.stdout)
    # A controller that comes to the droplet finds its own release tool there.
    assert digest == tool().digest
    needed = {name.removeprefix("deploy.") for name in imported if "host" not in name}
    # One runs inside the project, and is only read; the other is imported once it is needed.
    needed |= {"__init__", "in_project", "config_vars"}
    assert set(role("__git_push_modules")) == needed


def test_every_package_that_they_import_is_locked(program: Path) -> None:
    lock = (ROOT / "roles/git_push/files/requirements.txt").read_text()
    locked = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    own = {"deploy", *sys.stdlib_module_names}
    # Not by a push, or by the release alone.
    elsewhere = {"in_project.py"}
    distributions = packages_distributions()
    for path in program.glob("deploy/*.py"):
        if path.name in elsewhere:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in {name.split(".")[0] for name in names} - own:
                assert {d.lower().replace(".", "-") for d in distributions[name]} <= locked, (
                    path.name,
                    name,
                )


def test_the_versions_are_those_of_the_controller() -> None:
    pinned = re.compile(r"^\S+==\S+", re.MULTILINE)
    here, there = (
        set(pinned.findall((ROOT / folder / "requirements.txt").read_text()))
        for folder in (".", "roles/git_push/files")
    )
    assert there <= here
    assert there


def test_the_hook_and_the_repository_lead_to_each_other() -> None:
    names = {
        name: role(name)
        for name in ("__git_push_hooks", "__git_push_repository", "__git_push_venv")
    }
    hook = render("git_push", "pre-receive.j2", **names, __git_push_library=LIBRARY)
    assert hook.splitlines()[-1] == (f"exec {LIBRARY}/venv/bin/python -I {LIBRARY} locallibrary")
    config = render("git_push", "config.j2", **names)
    assert f"hooksPath = {LIBRARY}/hooks/locallibrary\n" in config


def test_it_is_off_unless_the_inventory_asks_for_it() -> None:
    assert role("git_push_enabled") is False
    for asked, packages in ((False, []), (True, ["git", "python3-venv"])):
        found = value("packages", "__packages_by_role.git_push", site_git_push=asked)
        assert found == packages


def test_the_branch_is_the_one_that_the_inventory_names() -> None:
    assert role("git_push_branch") == ""
    assert role("git_push_branch", site_revision="live") == "live"
