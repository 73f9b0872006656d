"""What must hold whatever happens, A to F of docs/faults.md, seen from outside and inside."""

import re
from collections.abc import Sequence

from tests.lab.faults import changes
from tests.lab.faults.inside import (
    Inside,
    look,
    nothing_left,
    rows_kept,
    wait_until_free,
    whole,
)
from tests.lab.faults.loader import Record
from tests.lab.faults.report import Row
from tests.lab.faults.visitors import Visitors, describe, lost, releases, slowest
from tests.lab.site import Done, Site

CAUSE = re.compile(r"^(refused|backed out|needs you): ")
NEXT_COMMAND = re.compile(r"\b(invoke [a-z]+|ansible-playbook|slipway [a-z]+)")
OWN_TRACEBACK = re.compile(r'^ *File "[^"]*/deploy/', re.MULTILINE)


def check_answers(row: Row, history: Sequence[Record], *revisions: str) -> None:
    """A: each request was answered in full, by a release of one of these revisions."""
    failed = lost(history)
    row.figures["requests"] = str(len(history))
    row.figures["lost"] = str(len(failed))
    row.figures["slowest"] = f"{slowest(history):.2f} s"
    assert len(history) > 0
    assert not failed, describe(failed)
    check_releases(history, *revisions)


def check_releases(history: Sequence[Record], *revisions: str) -> None:
    """Whoever was answered was answered by a release of one of these revisions."""
    strangers = [one for one in releases(history) if not one.endswith(revisions)]
    assert not strangers, f"answered by {strangers}, not by one of {revisions}"


def check_after(site: Site, row: Row, visitors: Visitors) -> str:
    """B, C and D: a deploy needs no step by hand, and nothing is left over; its revision."""
    row.figures["lock free after"] = f"{wait_until_free(site):.1f} s"
    whole(site)
    revision = changes.good(site)
    done = site.invoke("deploy")
    assert done.code == 0, done
    assert site.release().endswith(revision)
    whole(site)
    nothing_left(site)
    rows_kept(site, visitors.so_far())
    return revision


def check_told(done: Done, *words: str, codes: tuple[int, ...] = (3,)) -> None:
    """F: the exit code, a last line with cause and next command, no traceback of our own."""
    assert done.code in codes, done
    last = done.output.strip().splitlines()[-1]
    assert CAUSE.match(last), done
    assert NEXT_COMMAND.search(last), done
    assert not OWN_TRACEBACK.search(done.output), done
    for word in words:
        assert word in done.output, f"{word!r} is not in:\n{done}"


def check_audited(site: Site, before: Inside, event: str) -> None:
    """F: the audit log only grew, and tells of such an event since."""
    after = look(site)
    assert after.log[: len(before.log)] == before.log
    new = [entry["event"] for entry in after.entries[len(before.log) :]]
    assert event in new, f"no {event!r} in {after.log[len(before.log) :]}"
