"""What a project declares of itself, in the files that Heroku and Python's own tools know."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from deploy.errors import Refused
from deploy.packages import uv

HASH = "--hash="
# What may stand in requirements.txt by `-r`, and so decides what it is resolved to.
INCLUDED = ("*.txt", "*.in", "requirements/*.txt", "requirements/*.in", "pyproject.toml")


def locked_requirements(
    source: Path,
    project: str,
    extra: Sequence[str],
    python: str,
    kept: Path,
    note: Callable[[str], None],
) -> Path:
    """A file that names every package with its hashes.

    It is the project's own where there is one; else what the project asks for is resolved once,
    and the answer kept until the question changes.

    Args:
        source: the project at some revision.
        project: how messages call that folder.
        extra: packages that the inventory adds, as in requirements.txt.
        python: the oldest Python that the packages are for ("3.11").
        kept: folder of the answers.
        note: told what was resolved, and where the answer is.

    Raises:
        Refused: the project names no packages, or they cannot be resolved.
    """
    own = source / "requirements.txt"
    text = own.read_text() if own.exists() else ""
    if HASH in text and not extra:
        return own
    asked = question(source)
    if asked is None:
        raise Refused(
            f"{project}/ has no requirements.txt, no uv.lock and no pyproject.toml with "
            "dependencies, so nobody knows what it needs. List it in requirements.txt"
        )
    parts = [str(path.relative_to(source)) + path.read_text() for path in _included(source)]
    digest = hashlib.sha256("\0".join([*parts, *extra, python]).encode()).hexdigest()[:16]
    answer = kept / f"{digest}.txt"
    if not answer.exists():
        kept.mkdir(parents=True, exist_ok=True)
        added = kept / f".{digest}.in"
        added.write_text("".join(f"{package}\n" for package in extra))
        draft = kept / f".{digest}.txt"
        try:
            _resolve(source, asked, added, python, draft)
            draft.rename(answer)
        finally:
            added.unlink()
            draft.unlink(missing_ok=True)
        count = sum(1 for line in answer.read_text().splitlines() if "==" in line)
        note(f"{asked} resolved to {count} packages, locked in {answer}")
    return answer


def question(source: Path) -> str | None:
    """The file that says which packages are needed; None where no file does."""
    if (source / "uv.lock").exists():
        return "uv.lock"
    own = source / "requirements.txt"
    if own.exists() and own.read_text():
        return "requirements.txt"
    if _pyproject(source).get("project", {}).get("dependencies"):
        return "pyproject.toml"
    return None


def _resolve(source: Path, asked: str, added: Path, python: str, draft: Path) -> None:
    options = ["--generate-hashes", "--no-header", "--no-annotate", "--universal"]
    options += ["--python-version", python, "--output-file", str(draft)]
    if asked == "uv.lock":
        # Its own versions, and what is added beside them.
        exported = draft.with_suffix(".exported")
        uv(
            *("export", "--frozen", "--no-dev", "--no-emit-workspace", "--no-header"),
            *("--project", str(source), "--output-file", str(exported)),
        )
        try:
            uv("pip", "compile", str(exported), str(added), *options)
        finally:
            exported.unlink()
    else:
        uv("pip", "compile", str(source / asked), str(added), *options)


def _included(source: Path) -> list[Path]:
    found = {path for pattern in INCLUDED for path in source.glob(pattern)}
    return sorted(found | {path for path in [source / "uv.lock"] if path.exists()})


def python_problem(source: Path, project: str, python: str) -> str | None:
    """Why the droplet's Python is none that the project runs on, or None.

    ``requires-python`` of pyproject.toml is taken at its word. ``.python-version`` and
    ``runtime.txt`` name the version that the project was written for: it and newer ones of the same
    major version satisfy.

    Args:
        python: the droplet's, such as "3.13".
    """
    there = Version(python)
    folder = "" if project == "." else f"{project}/"
    required = _pyproject(source).get("project", {}).get("requires-python")
    if required:
        # Here, because few projects say so.
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        try:
            # Of the droplet's Python only the minor version counts: its patches come by themselves.
            if not SpecifierSet(required).contains(Version(f"{python}.99")):
                return _told(f"{folder}pyproject.toml", f"Python {required}", python)
        except InvalidSpecifier:
            return f"{folder}pyproject.toml: requires-python is {required!r}, which is no version"
    for name in (".python-version", "runtime.txt"):
        path = source / name
        text = path.read_text() if path.exists() else ""
        # The first line that is no comment.
        match = re.match(r"(?:\s|#.*\n)*(?:c?python-)?(\d+(?:\.\d+)*)", text)
        if not match:
            continue
        try:
            wanted = Version(match[1])
        except InvalidVersion:
            continue
        if wanted.major != there.major or wanted.release[:2] > there.release:
            return _told(f"{folder}{name}", f"Python {match[1]}", python)
    return None


def _told(where: str, wanted: str, there: str) -> str:
    return (
        f"{where} asks for {wanted}, and the droplet has {there}. Widen it there, or use a droplet "
        "with a newer Debian"
    )


def _pyproject(source: Path) -> dict[str, Any]:
    path = source / "pyproject.toml"
    if not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise Refused(f"{path.name} cannot be read: {error}") from None
