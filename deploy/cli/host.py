"""Tasks about the droplet itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import uv

from deploy.cli.task import ENVIRONMENT, ROOT, task
from deploy.console import Console


@task(help={"check": "change nothing, show what would be changed"})
def provision(console: Console, env: str = ENVIRONMENT, check: bool = False) -> None:
    """Run the playbook: ansible-playbook site.yml.

    Example: invoke provision --env production --check
    """
    playbook = Path(sys.executable).with_name("ansible-playbook")
    options = ("--check", "--diff") if check else ()
    argv = (playbook, "site.yml", "--inventory", f"inventory/{env}.yml", *options)
    sys.exit(subprocess.run(argv, cwd=ROOT).returncode)


@task()
def lock(console: Console) -> None:
    """Lock every requirements.in with hashes, keeping what is locked where it still fits.

    Example: invoke lock
    """
    tools = (file.parent for file in sorted((ROOT / "audits" / "tools").glob("*/requirements.in")))
    for folder in (ROOT / "app", ROOT, ROOT / "roles" / "git_push" / "files", *tools):
        compile_lock = (uv.find_uv_bin(), "pip", "compile", "requirements.in", "--quiet")
        options = ("--universal", "--python-version", "3.11", "--generate-hashes")
        argv = (*compile_lock, *options, "--output-file", "requirements.txt")
        console.note(str((folder / "requirements.txt").relative_to(ROOT)))
        if subprocess.run(argv, cwd=folder, stdout=subprocess.DEVNULL).returncode:
            sys.exit(2)
