"""Drift: what on the host differs from what the roles would make, and what nobody's role made."""

from __future__ import annotations

import difflib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from audits.errors import AuditError
from audits.model import Audit, Check, Report
from audits.subject import Subject

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
    told = json.loads(_check(subject))
    changed = tuple(differing(told, subject.target.name))
    there = subject.ask(FIND).splitlines()
    managed = set(named(told, subject.target.name))
    others = set(subject.ask(SITES).split()) - {subject.target.app}
    unknown = [p for p in there if p not in managed and not of_another_site(p, others)]
    foreign = sorted(set(unknown) - _packaged(subject, unknown))
    strays = tuple(
        Check(path, "no role and no package made this file", "remove it, or make it by a role")
        for path in foreign
    )
    figure = f"{len(changed)} differ, {len(strays)} that nobody made"
    return Report(figure, (*changed, *strays))


def differing(told: Result, host: str) -> Iterator[Check]:
    """Every task of ansible.posix.json's document that would change something.

    A check is named by the file, or by the task where there is none. Where a task hides its
    output (no_log), so does the check.

    Raises:
        AuditError: a task failed, so that those after it were not looked at.
    """
    for title, result in _results(told, host):
        if result.get("failed") or result.get("unreachable"):
            raise AuditError(f"site.yml --check stops at `{title}`: {result.get('msg', 'hidden')}")
        for one in _each(result):
            if one.get("changed"):
                yield Check(_path(one) or title, title, _difference(one))


def named(told: Result, host: str) -> Iterator[str]:
    """Every path that a task of the document looked after, changed or not."""
    for _, result in _results(told, host):
        for one in _each(result):
            path = _path(one)
            if path:
                yield path


def of_another_site(path: str, sites: Iterable[str]) -> bool:
    """Whether a file is named after one of these sites, whose own audit looks after it."""
    return any(re.match(rf"(slipway-)?{site}[-.]", Path(path).name) for site in sites)


def _check(subject: Subject) -> str:
    target = subject.target
    playbook = Path(sys.executable).with_name("ansible-playbook")
    inventory = ("--inventory", target.inventory, "--limit", target.name)
    done = subprocess.run(
        (playbook, "site.yml", *inventory, "--check", "--diff"),
        cwd=subject.root,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
    )
    start = done.stdout.find("{")
    if start < 0:
        cause = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        raise AuditError(f"site.yml --check did not run: {cause[-1]}")
    return done.stdout[start:]


def _packaged(subject: Subject, paths: Iterable[str]) -> set[str]:
    """Those that a Debian package brought."""
    words = " ".join(shlex.quote(path) for path in paths)
    if not words:
        return set()
    said = subject.ask(f"dpkg-query --search -- {words} 2>/dev/null || true")
    return {line.rpartition(": ")[2] for line in said.splitlines()}


def _results(told: Result, host: str) -> Iterator[tuple[str, Result]]:
    for play in told["plays"]:
        for task in play["tasks"]:
            if host in task["hosts"]:
                yield task["task"]["name"], task["hosts"][host]


def _each(result: Result) -> list[Result]:
    """The rounds of a loop, or the one there is, and of each the files; what is hidden is one."""
    rounds = result.get("results")
    rounds = rounds if isinstance(rounds, list) and rounds else [result]
    return [one for result in rounds for one in _files(result)]


def _files(result: Result) -> list[Result]:
    """What host_files answers about many files, as an answer about each."""
    files = ((result.get("invocation") or {}).get("module_args") or {}).get("files")
    if not isinstance(files, list):
        return [result]
    changed = result.get("paths") or ()
    diffs = {diff.get("before_header"): diff for diff in _diffs(result)}
    return [
        {
            "path": file["path"],
            "changed": file["path"] in changed,
            "diff": diffs.get(file["path"]),
        }
        for file in files
    ]


def _path(result: Result) -> str:
    """The file that a module's answer is about; "" for those about no file.

    In check mode a module that would write tells it in its arguments or in its diff alone.
    """
    invocation = result.get("invocation") or {}
    places = (result, invocation, invocation.get("module_args") or {}, *_diffs(result))
    for place in places:
        for key in ("dest", "path", "before_header"):
            if isinstance(value := place.get(key), str) and value.startswith("/"):
                return value
    return ""


def _diffs(result: Result) -> list[Result]:
    diffs = result.get("diff") or []
    return [
        diff for diff in (diffs if isinstance(diffs, list) else [diffs]) if isinstance(diff, dict)
    ]


def _difference(result: Result) -> str:
    """The lines that differ, a few of them; or that something does."""
    if "censored" in result:
        return UNTOLD
    lines = [line for diff in _diffs(result) for line in _lines(diff)]
    shown = lines[:DIFF_LINES]
    if len(lines) > len(shown):
        shown.append(f"and {len(lines) - len(shown)} lines more")
    return "\n    ".join(["differs", *shown])


def _lines(diff: Result) -> list[str]:
    if "prepared" in diff:
        return str(diff["prepared"]).splitlines()
    before, after = _text(diff.get("before")), _text(diff.get("after"))
    compared = difflib.unified_diff(before, after, n=0, lineterm="")
    return [line for line in compared if not line.startswith(("---", "+++", "@@"))]


def _text(side: object) -> list[str]:
    """One side of a diff: a file's text, or a module's own words for what it looks at."""
    text = side if isinstance(side, str) else json.dumps(side, indent=0, sort_keys=True)
    return text.splitlines() if side is not None else []


AUDIT = Audit(
    name="drift",
    reference="site.yml --check --diff",
    bar="nothing differs, nothing is foreign",
    run=run,
    slow=True,
)
