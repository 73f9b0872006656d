"""What a build says of the project, with the config vars that were seen to help."""

from __future__ import annotations

import tempfile
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any

from deploy import asking, judging
from deploy.errors import Refused
from doctor import cures
from doctor.model import Finding, Verdict, fine
from doctor.patient import Patient

# The settings that checks of `check --deploy` are about, where a variable may well decide them.
SWITCHES = {
    "security.W004": "SECURE_HSTS_SECONDS",
    "security.W005": "SECURE_HSTS_INCLUDE_SUBDOMAINS",
    "security.W008": "SECURE_SSL_REDIRECT",
    "security.W012": "SESSION_COOKIE_SECURE",
    "security.W016": "CSRF_COOKIE_SECURE",
    "security.W021": "SECURE_HSTS_PRELOAD",
}
# With the first, Django asks for the other two.
SECURE = {
    "SECURE_HSTS_SECONDS": "SECURE_HSTS_SECONDS = 31536000; "
    "SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = True"
}
BUILD_ROUNDS = 3
# What a line of its own has told already: DEBUG, the secret key, the hosts.
TOLD = ("DEBUG", "security.W018", "security.W009", "security.W020")


def build(patient: Patient) -> None:
    """What a build says; security switches that a variable decides are tried as well."""
    source = patient.project.source
    for _ in range(BUILD_ROUNDS):
        try:
            facts = _facts(patient)
        except Refused as refused:
            # What a build advises besides was looked at before: the variables.
            told = refused.message.partition(". Variables it needs")[0]
            patient.say(Finding("build", Verdict.PROJECT, told))
            return
        if not _switches(patient, facts):
            break
    accepted = patient.target.accepted_checks
    found = judging.problems(facts, source, accepted)
    left = [problem for problem in found if not problem.text.startswith(TOLD)]
    patient.say(*map(_of_build, left))
    checks = [problem.text.partition(":")[0] for problem in left if problem.subject == "security"]
    if checks:
        command = f"site_accepted_checks: {{{', '.join(f'{check}: WHY' for check in checks)}}}"
        patient.say(
            Finding(
                "security",
                Verdict.ADVICE,
                "what the site can live with is accepted, with a reason, by",
                command,
            )
        )
    patient.say(*_well(facts, accepted))
    processes, refusal = judging.web(source, facts, patient.target.procfile)
    if refusal:
        told, _, command = refusal.partition("; write: ")
        patient.say(Finding("web", Verdict.PROJECT, told, command))
    else:
        patient.say(fine("web", processes["web"]))
    others = sorted(processes.keys() - {"web", "release"})
    if others:
        told = f"the Procfile also has {', '.join(others)}; as many run as site_processes says"
        command = f"site_processes: {{{', '.join(f'{name}: 1' for name in others)}}}"
        patient.say(Finding("processes", Verdict.ADVICE, told, command))


def _facts(patient: Patient) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="slipway-static-") as folder:
        project = patient.project
        files = Path(folder) / "files"
        told = asking.ask(project.python, project.source, patient.target, patient.offline, files)
        return dict(told)


def _switches(patient: Patient, facts: Mapping[str, Any]) -> bool:
    """Whether a config var was found that takes away a security warning."""
    loaded = patient.load()
    before = len(patient.sets)
    for text in judging.insecure(facts, patient.target.accepted_checks):
        setting = SWITCHES.get(text.partition(":")[0])
        if setting:
            found = patient.first(cures.security(setting), loaded)
            patient.cure("security", found, f"{setting} is read from {{name}}")
    return len(patient.sets) > before


def _of_build(problem: judging.Problem) -> Finding:
    """A build's sentence and what to run; of Django's own words the first sentence."""
    told, _, command = problem.text.partition("; run: ")
    if problem.subject == "security":
        told = told.partition(". ")[0].rstrip(".")
        setting = SWITCHES.get(told.partition(":")[0], "")
        command = SECURE.get(setting, f"{setting} = True") if setting else ""
    return Finding(problem.subject, Verdict.PROJECT, told, command)


def _well(facts: Mapping[str, Any], accepted: Container[str]) -> Iterator[Finding]:
    """What a build looks at and is content with."""
    if not facts["changes"] and not facts["conflicts"]:
        yield fine("migrations", "every model has its migrations")
    if facts["static_root"] and facts["manifest"]:
        yield fine("static", "collected and hashed")
    elif facts["static_root"]:
        yield Finding("static", Verdict.ADVICE, judging.NOT_HASHED)
    if not facts["errors"] and not judging.insecure(facts, accepted):
        yield fine("checks", "manage.py check --deploy has nothing that stops a build")
