"""What site.yml would change on a host, as its check in Ansible's JSON tells it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.artifact import digest_of
from deploy.playbook import NoAnswer

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """What one task would change at a place: a file, or the task's own name where there is none.

    ``lines`` are those that differ, None where the task hides what it does (no_log).
    """

    place: str
    task: str
    lines: tuple[str, ...] | None


def differing(told: Result, host: str) -> Iterator[Difference]:
    """Every task of ansible.posix.json's document that would change something.

    Raises:
        NoAnswer: a task failed, so that those after it were not looked at.
    """
    for title, result in _results(told, host):
        if result.get("failed") or result.get("unreachable"):
            raise NoAnswer(f"site.yml --check stops at `{title}`: {result.get('msg', 'hidden')}")
        for one in _each(result):
            if one.get("changed"):
                yield Difference(_path(one) or title, title, _difference(one))


def named(told: Result, host: str) -> Iterator[str]:
    """Every path that a task of the document looked after, changed or not."""
    for _, result in _results(told, host):
        for one in _each(result):
            path = _path(one)
            if path:
                yield path


def digest(found: Iterable[Difference]) -> str:
    """A name for what differs; "" for nothing."""
    parts = [part for one in found for part in (one.place, one.task, *(one.lines or ()))]
    return digest_of(parts) if parts else ""


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


def _difference(result: Result) -> tuple[str, ...] | None:
    if "censored" in result:
        return None
    return tuple(line for diff in _diffs(result) for line in _lines(diff))


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
