"""The project's part: from its revision to what a build says of it, as the droplet would run it."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath

from deploy import sources
from deploy.console import Console
from deploy.conventions import python_problem
from deploy.errors import Refused
from deploy.revision import Revision, export, git
from deploy.sources import Source
from deploy.target import Platform, Target
from doctor import building, packages, steps
from doctor.loading import Project
from doctor.model import Finding, Verdict, fine
from doctor.packages import Packages
from doctor.patient import admit


def look(
    root: Path,
    target: Target,
    droplet: Platform,
    name: str | None,
    typed: bool,
    console: Console,
) -> list[Finding]:
    """Every finding about the project; nothing of it is changed.

    Args:
        droplet: what it would run on.
        name: the revision; None is HEAD.
        typed: whether somebody has just typed where the project is, so that a wrong place is no
            finding.

    Raises:
        Refused: there is nothing at the place that was typed.
    """
    try:
        source = sources.find(root, target.source, target.project, target.revision)
        revision, findings = _revision(source, name)
    except Refused as refused:
        if typed:
            raise
        return [Finding("revision", Verdict.PROJECT, refused.message)]
    if revision is None:
        return findings
    target = replace(target, project=revision.project)
    with tempfile.TemporaryDirectory(prefix="slipway-doctor-") as folder:
        # A copy: settings may write beside themselves, and what is built is kept as it was.
        copy = Path(folder).resolve() / "source"
        copy.mkdir()
        export(revision, copy)
        findings += _python(copy, target, droplet)
        with console.phase("packages"):
            told, found = packages.look(root, revision, copy, target, droplet, console.note)
        findings += told
        if found is None:
            return [*findings, Finding("settings", Verdict.SKIPPED, "the packages cannot be had")]
        return [*findings, *examine(root, target, copy, found, console)]


def examine(
    root: Path, target: Target, source: Path, found: Packages, console: Console
) -> list[Finding]:
    """What is to be said of the settings, and by a build.

    Args:
        root: this repository, whose inventory has config vars.
        source: the project; beside it is room for what it writes.
    """
    pages = tuple(filter(None, (*target.pages, target.ready_path)))
    with Project(found.python, source, (target.domain,), pages) as project:
        patient = admit(root, target, project, found)
        with console.phase("settings"):
            known = steps.examine(patient)
        if known:
            with console.phase("build"):
                building.build(patient)
    return patient.findings


def _revision(source: Source, name: str | None) -> tuple[Revision | None, list[Finding]]:
    """The revision that is looked at, in the folder where manage.py is; None without one."""
    findings = []
    try:
        whole = replace(source, project=".").at(name)
    except Refused as refused:
        if name:
            raise
        whole = replace(source, project=".").at("HEAD")
        findings.append(Finding("revision", Verdict.PROJECT, refused.message))
    listed = git(source.repository, "ls-tree", "-r", "--name-only", whole.commit).stdout
    paths = map(PurePosixPath, listed.splitlines())
    folders = sorted((str(path.parent) for path in paths if path.name == "manage.py"), key=_depth)
    if source.project not in folders:
        if not folders:
            told = f"revision {whole.short} has no manage.py"
            return None, [*findings, Finding("manage.py", Verdict.PROJECT, told)]
        told = f"not in {source.project}/, but in {', '.join(folders)}"
        command = f"site_project: {folders[0]}"
        findings.append(Finding("manage.py", Verdict.INVENTORY, told, command))
        source = replace(source, project=folders[0])
    findings.append(fine("revision", f"{whole.short} {whole.subject}"))
    return source.at(whole.commit), findings


def _depth(folder: str) -> tuple[int, str]:
    return (0 if folder == "." else folder.count("/") + 1, folder)


def _python(source: Path, target: Target, droplet: Platform) -> list[Finding]:
    try:
        problem = python_problem(source, target.project, droplet.python)
    except Refused as refused:
        problem = refused.message
    if problem:
        return [Finding("Python", Verdict.PROJECT, problem)]
    return [fine("Python", f"{droplet.python}, as on the droplet")]
