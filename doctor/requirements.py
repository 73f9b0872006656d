"""Files that name a project's packages in other ways than a build takes them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from deploy.revision import Revision, git
from doctor.model import Finding, Verdict

# What a folder of requirements has for production, the likely ones first.
FOLDER = ("production", "prod", "heroku", "deploy", "base", "common")


def elsewhere(revision: Revision, source: Path) -> Finding:
    """The finding that no file names the packages; what does so elsewhere is put in its place."""
    own = source / "requirements.txt"
    for name in FOLDER:
        path = source / "requirements" / f"{name}.txt"
        if path.exists():
            line = f"-r requirements/{name}.txt"
            own.write_text(f"{line}\n")
            told = f"requirements.txt is not there, and requirements/{name}.txt seems to be meant"
            return Finding("packages", Verdict.PROJECT, told, f"echo '{line}' > requirements.txt")
    pipfile = source / "Pipfile.lock"
    if pipfile.exists():
        own.write_text(_of_pipfile(pipfile.read_text()))
        told = "requirements.txt is not there, and a build does not read Pipfile.lock"
        return Finding("packages", Verdict.PROJECT, told, "pipenv requirements > requirements.txt")
    above = git(revision.repository, "show", f"{revision.commit}:requirements.txt")
    if above.returncode == 0 and revision.project != ".":
        own.write_text(above.stdout)
        told = f"requirements.txt is at the top, and only {revision.project}/ is built"
        command = f"git mv requirements.txt {revision.project}/"
        return Finding("packages", Verdict.PROJECT, told, command)
    told = "no requirements.txt, uv.lock or [project] dependencies say what it needs"
    command = "pip freeze > requirements.txt, in the environment that it runs in"
    if (source / "poetry.lock").exists():
        command = "poetry export --output requirements.txt"
    return Finding("packages", Verdict.PROJECT, told, command)


def _of_pipfile(text: str) -> str:
    """requirements.txt of a Pipfile.lock."""
    try:
        packages = json.loads(text)["default"]
    except (ValueError, KeyError):
        return ""
    lines = []
    for name, how in packages.items():
        extras = f"[{','.join(how['extras'])}]" if how.get("extras") else ""
        markers = f" ; {how['markers']}" if how.get("markers") else ""
        lines.append(f"{name}{extras}{how.get('version', '')}{markers}\n")
    return "".join(lines)


def drop(source: Path, name: str) -> bool:
    """Take a package out of the project's files; False when none of them names it."""
    spelled = re.sub(r"[-_.]+", "[-_.]+", name)
    line = re.compile(rf"^[ \t]*{spelled}(?![\w.-]).*\n?", re.M | re.I)
    dropped = False
    for file in (*source.glob("*.txt"), *source.glob("requirements/*.txt")):
        text = file.read_text(errors="replace")
        without = line.sub("", text)
        if without != text:
            file.write_text(without)
            dropped = True
    return dropped
