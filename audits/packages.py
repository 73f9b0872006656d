"""pip-audit: known holes in the packages of the live release, as its SBOM lists them."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audits.errors import AuditError
from audits.model import Audit, Check, Report
from audits.subject import Subject

UNREACHABLE = "the index of known holes cannot be reached from here"


@dataclass(frozen=True)
class Answer:
    """What pip-audit found, a check for each package; and why it could not tell, or None."""

    checks: tuple[Check, ...]
    skipped: str | None = None

    @property
    def holes(self) -> list[str]:
        return [f"{check.title}: {check.problem}" for check in self.checks if check.problem]


def run(subject: Subject) -> Report:
    """Known holes of every package that the live release runs with."""
    sbom = subject.ask(f"cat {subject.target.root}/current/sbom.json 2>/dev/null || true")
    if not sbom:
        return Report("no SBOM", skipped="no release with an SBOM is live; run: invoke deploy")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listing:
        listing.write(requirements(json.loads(sbom)))
        listing.flush()
        answer = ask(Path(listing.name), "--no-deps")
    figure = f"{len(answer.holes)} holes in {len(answer.checks)} packages"
    # A hole that was told counts, even where other packages were not answered for.
    return Report(figure, answer.checks, None if answer.holes else answer.skipped)


def requirements(sbom: Mapping[str, Any]) -> str:
    """A CycloneDX document's components, as pip's requirements."""
    return "".join(f"{part['name']}=={part['version']}\n" for part in sbom["components"])


def ask(listing: Path, option: str) -> Answer:
    """Known holes of a file of requirements.

    Args:
        option: --require-hashes or --no-deps: nothing is resolved, so pip is not needed.

    Raises:
        AuditError: pip-audit says something that is no answer.
    """
    argv = (Path(sys.executable).with_name("pip-audit"), "--requirement", listing, option)
    options = ("--disable-pip", "--progress-spinner", "off", "--format", "json")
    done = subprocess.run((*argv, *options), capture_output=True, text=True)
    if not done.stdout and "Connection" in done.stderr:
        return Answer((), UNREACHABLE)
    try:
        return read(done.stdout)
    except ValueError:
        cause = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise AuditError(f"pip-audit did not answer: {cause}") from None


def read(document: str) -> Answer:
    """pip-audit's JSON. Raises ValueError when it is none."""
    try:
        packages = json.loads(document)["dependencies"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"no answer of pip-audit: {document[:80]!r}") from None
    checks = tuple(
        Check(
            hole["id"],
            f"{package['name']} {package['version']}",
            f"known hole, fixed in {', '.join(hole['fix_versions']) or 'no version yet'}",
        )
        for package in packages
        for hole in package.get("vulns", [])
    )
    whole = tuple(
        Check(package["name"], f"{package['name']} {package['version']}")
        for package in packages
        if package.get("vulns") == []
    )
    unanswered = [package["name"] for package in packages if "skip_reason" in package]
    skipped = (
        f"the package index in use here has no list of known holes; "
        f"{len(unanswered)} of {len(packages)} packages not checked"
        if unanswered
        else None
    )
    return Answer((*checks, *whole), skipped)


AUDIT = Audit(
    name="packages", reference="pip-audit of the live release's SBOM", bar="0 known holes", run=run
)
