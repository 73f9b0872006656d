"""What is imported before a conversation or a build begins: each module is waited for."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTROLLER = "import sys; sys.argv = ['invoke', 'deploy']; import tasks"
BUILD = "import sys; import deploy.build"
DROPLET = "import sys; import deploy.host.main"


@pytest.mark.parametrize(
    ("code", "later"),
    [
        (CONTROLLER, "deploy.stages deploy.build deploy.runner fabric ruamel.yaml rich platform"),
        (BUILD, "ruamel.yaml cyclonedx importlib.metadata"),
        (DROPLET, "deploy.host.operating deploy.host.reading deploy.host.by_hand ssl platform"),
    ],
    ids=["controller", "build", "droplet"],
)
def test_a_conversation_does_not_wait_for_what_comes_later(code: str, later: str) -> None:
    found = subprocess.run(
        (sys.executable, "-c", f"{code}; print(*sys.modules)"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert {*later.split()} & {*found.stdout.split()} == set()
