"""The droplet's part: its facts, as it tells them, and what is to be said of them."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audits import drift, subject
from audits.errors import AuditError
from audits.subject import Subject
from deploy import conversation, newcomer, updates
from deploy.console import Console, size
from deploy.errors import SlipwayError
from deploy.multiplexed import connected
from deploy.session import Session, who
from deploy.target import Platform, Target
from deploy.updates import Updates
from doctor.model import Finding, Verdict, fine

PLAYBOOK = "ansible-playbook -i {inventory} site.yml"
SECONDS = 5
PORTS = (80, 443)
# 512 MB, of which the kernel keeps some for itself.
LEAST_MEMORY = 400_000_000
# What a sentence of `invoke status` is about, by a word in it.
SUBJECTS = {
    "backup": "backups",
    "archiving": "backups",
    "repository": "backups",
    "certificate": "certificate",
    "disk": "disk",
    "memory": "memory",
    "database": "database",
    " failed": "unit",
    "nothing is live": "release",
}
TESTED = {"debian 12", "debian 13"}
WRITTEN_FOR = {"ubuntu 22.04", "ubuntu 24.04", "ubuntu 26.04"}
# The sentence names the doctor, who is asked already.
DOCTOR = " Look: invoke doctor"
QUESTION = """\
export LC_ALL=C
. /etc/os-release; echo "system $ID $VERSION_ID"
ss -Hltnp | sed 's/^/listening /'
dpkg-query -W -f 'package ${Package} ${Version}\\n' nginx python3 'postgresql-[0-9]*' 2>/dev/null
true
"""
# ss: LISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:(("nginx",pid=7,fd=5))
LISTENING = re.compile(r"listening \S+ +\d+ +\d+ +(?P<at>\S+):(?P<port>\d+) .*")
PROGRAM = re.compile(r'users:\(\("([^"]+)"')
PACKAGE = re.compile(r"^package (nginx|python3|postgresql-\d+) (?:\d+:)?(\d+(?:\.\d+)?)", re.M)
LOOPBACK = re.compile(r"127\.|\[::1\]")


@dataclass
class Seen:
    """What came of it: the findings, and what the project's part wants to know of the droplet.

    ``facts`` are the release tool's; empty when it did not answer.
    """

    findings: list[Finding] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def platform(self) -> Platform | None:
        return Platform(self.facts["python"], self.facts["machine"]) if self.facts else None


def look(root: Path, target: Target, with_drift: bool, console: Console) -> Seen:
    """Every finding about the droplet; one that does not answer is a finding."""
    seen = Seen()
    with console.phase("names"):
        seen.findings += _names(target)
        seen.findings += _doors(target)
    try:
        with console.phase("connect"):
            facts, status = _told(target, console)
    except SlipwayError as error:
        seen.findings.append(Finding("ssh", Verdict.DROPLET, error.message.removesuffix(DOCTOR)))
        return seen
    seen.facts = facts
    seen.findings.append(fine("ssh", f"{target.user} gets in, and the host key is known"))
    seen.findings += of_release_tool(facts, status, target)
    try:
        with console.phase("system"):
            host = subject.connect(target, root)
            system, pending = host.ask(QUESTION), host.ask(updates.QUESTION)
        seen.findings += of_system(system, target.port)
        seen.findings += of_updates(updates.read(pending))
        seen.findings += _drift(host, with_drift, console)
    except (AuditError, RuntimeError, ValueError) as error:
        told = f"{target.admin} cannot look at the system: {error}"
        seen.findings.append(Finding("system", Verdict.DROPLET, told))
    return seen


def _told(target: Target, console: Console) -> tuple[dict[str, Any], dict[str, Any]]:
    with (
        connected(target) as start,
        Session(target, start, who(), console.event) as session,
    ):
        facts = session.open("invoke doctor", lock=False)
        return facts, session.call("status")


def _names(target: Target) -> Iterator[Finding]:
    """Where the domains lead to. Names under .test are in no DNS (RFC 6761): the lab has them."""
    for domain in target.domains:
        if domain.endswith(".test"):
            told = f"{domain} is in no DNS; the droplet is {target.host}"
            yield Finding("name", Verdict.SKIPPED, told)
            continue
        for one in newcomer.names([domain], target.host):
            verdict = Verdict.DROPLET if one.advice else Verdict.FINE
            yield Finding("name", verdict, f"{one.what} {one.told}", one.advice or "")


def _doors(target: Target) -> Iterator[Finding]:
    """Whether visitors get through to Nginx; ports are asked from here."""
    for port in PORTS:
        try:
            socket.create_connection((target.host, port), SECONDS).close()
        except OSError as error:
            told = f"port {port} of {target.host} does not answer: {error.strerror or error}"
            command = PLAYBOOK.format(inventory=target.inventory)
            yield Finding("port", Verdict.DROPLET, told, command)
        else:
            yield fine("port", f"{port} answers")


def of_release_tool(
    facts: Mapping[str, Any], status: Mapping[str, Any], target: Target
) -> Iterator[Finding]:
    """What the release tool tells: `facts` and `status` of deploy/host."""
    problem = conversation.clock_problem(facts, target)
    if problem:
        yield Finding("clock", Verdict.DROPLET, problem)
    else:
        yield fine("clock", "agrees with this machine's")
    problems = list(map(_problem, status["problems"]))
    yield from problems
    if status["memory"]["total"] < LEAST_MEMORY:
        told = f"{size(status['memory']['total'])} of memory, and 512 MB are needed"
        yield Finding("memory", Verdict.DROPLET, told, "a larger droplet")
    yield from _waiting(facts, status)
    amiss = {finding.subject for finding in problems}
    yield from (finding for finding in _well(status) if finding.subject not in amiss)


def _problem(sentence: str) -> Finding:
    """A sentence of `invoke status`, which ends with what to run or where to look."""
    told, _, command = re.sub(r"\. (Run|Look): ", "\0", sentence, count=1).partition("\0")
    subject = next((name for word, name in SUBJECTS.items() if word in told), "site")
    # Before the first deploy nothing is wrong yet.
    verdict = Verdict.ADVICE if subject == "release" else Verdict.DROPLET
    return Finding(subject, verdict, told, command)


def _waiting(facts: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[Finding]:
    """What somebody has begun."""
    if facts["current"] and facts["current"]["config"] != facts["config"]:
        told = "newer config vars wait for a deploy"
        yield Finding("config vars", Verdict.DROPLET, told, "invoke deploy")
    if status["maintenance"]:
        told = f"on, by {status['maintenance']['who']}: visitors are kept out"
        yield Finding("maintenance", Verdict.DROPLET, told, "invoke maintenance.off")


def _well(status: Mapping[str, Any]) -> Iterator[Finding]:
    """What is told of what is well."""
    for name, free in (("disk", "free"), ("memory", "available")):
        yield fine(name, f"{size(status[name][free])} free of {size(status[name]['total'])}")
    certificate = status["certificate"]
    if certificate:
        told = f"{certificate['days']} days left, issued by {certificate['issuer']}"
        yield fine("certificate", told)
    if status["current"]:
        yield fine("release", f"{status['current']['id']} is live")
    if status["database"]:
        yield fine("database", f"answers; {size(status['database']['bytes'] or 0)}")


def of_system(told: str, ssh_port: int) -> Iterator[Finding]:
    """The answer to QUESTION: system, versions, and what listens beside ssh and Nginx."""
    system = re.search(r"^system (.+)", told, re.M)
    name = system[1] if system else "unknown"
    versions = ", ".join(
        f"{package.replace('postgresql-', 'postgresql ').split()[0]} {version}"
        for package, version in PACKAGE.findall(told)
    )
    if name in TESTED:
        yield fine("system", f"{name}; {versions}")
    elif name in WRITTEN_FOR:
        yield Finding("system", Verdict.ADVICE, f"{name} is not tested; {versions}")
    else:
        command = "use a droplet with Debian 13"
        yield Finding("system", Verdict.DROPLET, f"{name} is not supported", command)
    expected = {ssh_port, *PORTS}
    foreign = sorted(set(_listening(told, expected)))
    for program, at in foreign:
        line = f"{program} listens on {at}, which no role asks for"
        yield Finding("listens", Verdict.DROPLET, line, "ss -ltnp, on the droplet")
    if not foreign:
        yield fine("listens", "ssh and Nginx, and nobody else")


def _listening(told: str, expected: set[int]) -> Iterator[tuple[str, str]]:
    for line in told.splitlines():
        found = LISTENING.match(line)
        if not found or LOOPBACK.match(found["at"]) or int(found["port"]) in expected:
            continue
        program = PROGRAM.search(line)
        yield program[1] if program else "somebody", f"{found['at']}:{found['port']}"


def of_updates(found: Updates) -> Iterator[Finding]:
    """What the droplet lacks of its updates; failed units are told by the release tool."""
    if found.security:
        names = ", ".join(upgrade.name for upgrade in found.security[:3])
        more = f" and {len(found.security) - 3} more" if len(found.security) > 3 else ""
        told = f"{len(found.security)} security updates wait: {names}{more}"
        yield Finding("updates", Verdict.DROPLET, told, "invoke patch")
    if found.services:
        told = f"{', '.join(found.services)} still run with libraries that were replaced"
        yield Finding("updates", Verdict.DROPLET, told, "invoke patch")
    if found.reboot:
        told = f"a reboot is pending for {found.reboot}"
        yield Finding("updates", Verdict.DROPLET, told, "invoke patch --reboot")
    if not (found.security or found.services or found.reboot):
        yield fine("updates", "no security update waits")


def _drift(host: Subject, wanted: bool, console: Console) -> Iterator[Finding]:
    if not wanted:
        told = "takes minutes, and was not asked for"
        yield Finding("drift", Verdict.SKIPPED, told, "invoke doctor --drift")
        return
    with console.phase("drift"):
        checks = drift.run(host).checks
    for check in checks:
        told = (check.problem or "differs").splitlines()[0]
        yield Finding("drift", Verdict.DROPLET, f"{check.control}: {told}", "invoke audit --drift")
    if not checks:
        yield fine("drift", "nothing differs from what the roles would make")
