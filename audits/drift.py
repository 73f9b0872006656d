"""Drift: what on the host differs from what the roles would make, and what nobody's role made."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from audits.errors import AuditError
from audits.model import Audit, Check, Report
from audits.subject import Subject
from deploy import drift, playbook
from deploy.drift import Difference

# A file that is dropped here takes effect, and no task of a role would see it.
OWNED = (
    "/etc/nginx/conf.d", "/etc/sudoers.d", "/etc/ssh/sshd_config.d",
    "/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly",
    "/var/spool/cron/crontabs", "/etc/needrestart/conf.d",
    "/etc/needrestart/restart.d", "/etc/sysctl.d", "/etc/profile.d", "/usr/local/bin",
    "/usr/local/sbin", "/etc/systemd/system",
)  # fmt: skip
# Links in systemd's folder say what is enabled; whether that is right is a task's business.
FIND = (
    f"find {' '.join(OWNED)} -maxdepth 2 \\( -type f -o -type l -not -path '/etc/systemd/*' \\) "
    "-print 2>/dev/null || true"
)
SITES = "ls /etc/slipway 2>/dev/null | sed 's/[.]json$//'"
DIFF_LINES = 12
UNTOLD = "differs; what it holds is not shown"

Result = Mapping[str, Any]


def run(subject: Subject) -> Report:
    """site.yml with --check --diff, and what is in the owned folders that it does not name."""
    target = subject.target
    try:
        with playbook.checking(subject.root, target.inventory, target.name) as wait:
            told = wait()
        changed = tuple(differing(told, target.name))
    except playbook.NoAnswer as said:
        raise AuditError(said.args[0]) from None
    there = subject.ask(FIND).splitlines()
    managed = set(drift.named(told, target.name))
    others = set(subject.ask(SITES).split()) - {target.app}
    unknown = [p for p in there if p not in managed and not of_another_site(p, others)]
    foreign = sorted(set(unknown) - _packaged(subject, unknown))
    strays = tuple(
        Check(path, "no role and no package made this file", "remove it, or make it by a role")
        for path in foreign
    )
    figure = f"{len(changed)} differ, {len(strays)} that nobody made"
    return Report(figure, (*changed, *strays))


def differing(told: Result, host: str) -> Iterator[Check]:
    """What the roles would change. Where a task hides its output (no_log), so does the check.

    Raises:
        NoAnswer: a task failed, so that those after it were not looked at.
    """
    for one in drift.differing(told, host):
        yield Check(one.place, one.task, _problem(one))


def of_another_site(path: str, sites: Iterable[str]) -> bool:
    """Whether a file is named after one of these sites, whose own audit looks after it."""
    return any(re.match(rf"(slipway-)?{site}[-.]", Path(path).name) for site in sites)


def _packaged(subject: Subject, paths: Iterable[str]) -> set[str]:
    """Those that a Debian package brought."""
    words = " ".join(shlex.quote(path) for path in paths)
    if not words:
        return set()
    said = subject.ask(f"dpkg-query --search -- {words} 2>/dev/null || true")
    return {line.rpartition(": ")[2] for line in said.splitlines()}


def _problem(one: Difference) -> str:
    """The lines that differ, a few of them; or that something does."""
    if one.lines is None:
        return UNTOLD
    shown = list(one.lines[:DIFF_LINES])
    if len(one.lines) > len(shown):
        shown.append(f"and {len(one.lines) - len(shown)} lines more")
    return "\n    ".join(["differs", *shown])


AUDIT = Audit(
    name="drift",
    reference="site.yml --check --diff",
    bar="nothing differs, nothing is foreign",
    run=run,
    slow=True,
)
