"""invoke new: the inventory of another host."""

from __future__ import annotations

import getpass
import subprocess
from dataclasses import replace
from pathlib import Path

from rich.table import Table

from deploy import newcomer
from deploy.cli.task import ROOT, task
from deploy.console import Console
from deploy.errors import Refused
from deploy.newcomer import Finding, Newcomer


@task(
    positional=["name"],
    iterable=["domain"],
    help={
        "name": "name of the environment, such as production",
        "host": "address of the server",
        "domain": "domain of the site; may be given several times, the first is where it is",
        "email": "where the certificate authority writes to; default: git's user.email",
        "key": "file with your public SSH key; default: the one in ~/.ssh",
        "app": "name of the site, where it is not the inventory's: a second site on a droplet",
        "operator": "name of your account on the server; default: the one you have here",
    },
)
def new(
    console: Console,
    name: str,
    host: str = "",
    domain: list[str] | None = None,
    email: str = "",
    key: str = "",
    app: str = "",
    operator: str = "",
    json: bool = False,
) -> None:
    """Write the inventory of a new host, and look at its DNS, SSH and host key.

    Example: invoke new production --host 203.0.113.10 --domain library.example.org
    A second site on it: invoke new shop --app shop --host 203.0.113.10 --domain shop.example.org
    """
    if not host or not domain:
        raise Refused(
            "Say where it is and what it is called: invoke new production --host 203.0.113.10 "
            "--domain library.example.org"
        )
    me = getpass.getuser()
    wanted = newcomer.checked(
        ROOT,
        Newcomer(
            name=name,
            address=host,
            domains=tuple(domain),
            email=email or _git_email(),
            key="",
            operator=operator or ("" if me == "root" else me),
            app=app,
        ),
    )
    public = _key(Path(key)) if key else newcomer.public_key(Path.home() / ".ssh")
    wanted = replace(wanted, key=public)
    newcomer.write(ROOT, wanted)
    findings = newcomer.look(wanted)
    files = [str(path.relative_to(ROOT)) for path in newcomer.paths(ROOT, name)]
    told = {"files": files, "findings": [vars(finding) for finding in findings]}
    console.result(_table(files, findings, name), told)


def _key(file: Path) -> str:
    try:
        return " ".join(file.read_text().split())
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}") from None


def _git_email() -> str:
    asked = subprocess.run(
        ["git", "config", "user.email"], cwd=ROOT, capture_output=True, text=True
    )
    return asked.stdout.strip()


def _table(files: list[str], findings: list[Finding], name: str) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("written", ", ".join(files))
    for finding in findings:
        advice = f". To do: {finding.advice}" if finding.advice else ""
        table.add_row(finding.what, f"{finding.told}{advice}")
    table.add_row("next", f"ansible-playbook -i inventory/{name}.yml site.yml")
    table.add_row("", f"invoke deploy --env {name}")
    return table
