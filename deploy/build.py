"""Build: a git revision becomes an artifact. Nothing here talks to a droplet."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from packaging.version import Version

from deploy import judging, sbom
from deploy.answers import Answer, Question
from deploy.artifact import (
    PACKAGES,
    TREE,
    Artifact,
    Packages,
    assemble,
    digest_of,
    tree_of,
)
from deploy.conventions import locked_requirements, python_problem
from deploy.errors import Refused
from deploy.exports import exported
from deploy.kept import kept
from deploy.packages import unpack, uv
from deploy.revision import Revision
from deploy.takeover import taken_over
from deploy.target import Platform, Target

CONTROLLER_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def _unused(_: object) -> None:
    """Nobody waits for it."""


def build(
    root: Path,
    revision: Revision,
    target: Target,
    droplet: Platform,
    note: Callable[[str], None],
    unpacked: Callable[[Packages], None] = _unused,
    expected: Callable[[Artifact], None] = _unused,
) -> Artifact:
    """Make the artifact of a revision, reusing what earlier builds made of equal inputs.

    Args:
        root: this repository, whose .slipway/ keeps what was built.
        droplet: what the wheels are for.
        note: told what takes long.
        unpacked: given the droplet's packages while the project is still asked.
        expected: given what is returned if the project answers as it did last time, where so little
            has changed that it may; equal then, but for the warnings.

    Raises:
        Refused: the project cannot be built as it is; nothing was changed anywhere.
    """
    cache = root / ".slipway" / "cache"
    export = exported(cache, revision)
    source = export.folder
    problem = python_problem(source, target.project, droplet.python)
    if problem:
        raise Refused(problem)
    requirements = locked(root, source, target, droplet, note)
    lock = lock_of(requirements, droplet)
    questioned: Future[Question] = Future()

    def asked() -> Answer:
        try:
            python = virtual_environment(cache, requirements, note)
            question = Question(root, export, python, target, revision)
            questioned.set_result(question)
        except BaseException as error:
            questioned.set_exception(error)
            raise
        return question.answer()

    # Side by side: the project is asked with packages of this machine's own.
    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(asked)
        packages = droplet_packages(cache, requirements, droplet, note)
        unpacked(Packages(cache, lock, packages))
        listed = kept(cache / "sbom" / lock, lambda draft: sbom.write(packages, lock, draft))

        def of(answer: Answer) -> Artifact:
            facts = {**answer.facts, "processes": _processes(source, target, answer.facts)}
            collected = answer.collected
            return assemble(
                cache, revision, source, export.files, packages, listed,
                collected, facts, lock, droplet,
            )  # fmt: skip

        question = questioned.result()
        guess = question.foreseen()
        made = of(guess) if guess else None
        if made:
            expected(made)
        answer = beside.result()
    warnings = _judge(answer.facts, source, target)
    question.remember()
    artifact = made if made and answer == guess else of(answer)
    return replace(artifact, warnings=warnings)


def locked(
    root: Path, source: Path, target: Target, droplet: Platform, note: Callable[[str], None]
) -> Path:
    """The project's packages with their hashes, for the droplet and this machine.

    Raises:
        Refused: it names none, or they cannot be resolved.
    """
    return locked_requirements(
        source,
        target.project,
        target.extra_packages,
        min(droplet.python, CONTROLLER_PYTHON, key=Version),
        root / ".slipway" / "locks",
        note,
    )


def lock_of(requirements: Path, droplet: Platform) -> str:
    """What names the packages of a lock file on a droplet, there and here."""
    return digest_of([requirements.read_text(), droplet.python, droplet.machine])[:16]


def droplet_packages(
    cache: Path, requirements: Path, droplet: Platform, note: Callable[[str], None]
) -> Path:
    """The locked packages for the droplet's Python, unpacked.

    Raises:
        Refused: one of them cannot be had for it.
    """

    def install(draft: Path) -> None:
        note(f"locked packages for Python {droplet.python} on {droplet.machine}")
        made_for = (droplet.python, droplet.machine)
        remove = partial(uv, "pip", "uninstall", "--target", str(draft))
        with taken_over(draft, requirements, made_for, lambda old: remove(*old)) as known:
            unpack(requirements, droplet, draft, note)
            names = tree_of(draft, names=known)
        (draft / TREE).write_text(json.dumps(names))

    return kept(cache / PACKAGES / lock_of(requirements, droplet), install)


def virtual_environment(
    cache: Path, requirements: Path, note: Callable[[str], None], whole: bool = True
) -> Path:
    """The Python of a venv on this machine with the locked packages.

    Args:
        whole: False takes a lock file from which packages that others need were left out.

    Raises:
        Refused: one of them cannot be installed here.
    """

    def install(draft: Path) -> None:
        note(f"locked packages for Python {CONTROLLER_PYTHON} on this machine")
        python = str(draft / "bin" / "python")
        remove = partial(uv, "pip", "uninstall", "--python", python)
        with taken_over(draft, requirements, (sys.executable,), lambda names: remove(*names)):
            if not Path(python).exists():
                uv("venv", "--relocatable", "--python", sys.executable, str(draft))
            # Without bytecode: Python keeps that of what the project imports, which is a third.
            uv(
                "pip", "install", "--python", python, "--require-hashes",
                "--requirement", str(requirements), *(() if whole else ("--no-deps",)),
            )  # fmt: skip

    lock = digest_of([requirements.read_text(), CONTROLLER_PYTHON, "controller"])[:16]
    venv = kept(cache / "venv" / lock, install, movable=False)
    return venv / "bin" / "python"


def _judge(facts: Mapping[str, Any], source: Path, target: Target) -> tuple[str, ...]:
    """Refuse a project that could not be served; returns warnings."""
    found = [problem.text for problem in judging.problems(facts, source, target.accepted_checks)]
    if judging.insecure(facts, target.accepted_checks):
        found.append(judging.SECURITY_ADVICE)
    if found:
        raise Refused(f"{target.project}/ cannot be deployed: {found[0]}", found[1:])
    warnings = tuple(_told(text, target.accepted_checks) for text in facts["warnings"])
    if facts["changes"]:
        warnings += (_told(f"{judging.MAKEMIGRATIONS}: changes", target.accepted_checks),)
    return warnings if facts["manifest"] else (*warnings, judging.NOT_HASHED)


def _told(warning: str, accepted: Mapping[str, str]) -> str:
    """A warning that passes: with the reason, where the inventory has one."""
    check = warning.partition(":")[0]
    return f"{check} is accepted: {accepted[check]}" if check in accepted else warning


def _processes(source: Path, target: Target, facts: Mapping[str, Any]) -> dict[str, str]:
    """Process types and commands; refuse a web line that cannot be handed its socket."""
    found, problem = judging.web(source, facts, target.procfile)
    if problem:
        raise Refused(f"{target.project}/{problem}")
    return found
