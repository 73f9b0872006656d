"""The Procfile's release line: run by each deploy, between the migrations and the start."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence

from deploy.host import audit
from deploy.host.context import Context
from deploy.host.errors import BackedOut
from deploy.host.events import phase
from deploy.host.project import DETAIL_LINES
from deploy.host.release import Release

RELEASE = "release"
LIMIT_SECONDS = 3600.0
CHUNK = 1 << 16
LOOK_SECONDS = 0.2


def run_release_line(ctx: Context, release: Release) -> None:
    """Run it with the release's code and config vars, as the app's user, and show what it says.

    Raises:
        BackedOut: it failed, took longer than an hour, or somebody pressed Ctrl-C.
    """
    if RELEASE not in release.processes:
        return
    program = ctx.layout.release(release.id) / "bin" / RELEASE
    options = ("--attached", "--release", release.id, "--run", str(program))
    said: deque[str] = deque(maxlen=DETAIL_LINES)
    with phase(ctx.reporter, RELEASE) as running:
        running.note(release.processes[RELEASE])

        def line(text: str) -> None:
            said.append(text)
            running.note(text)

        problem = _run((*ctx.site.manage_helper, *options), ctx, line)
        if problem is None:
            return
        why = f"the Procfile's release line {problem}"
        audit.append(ctx.layout, audit.FAILED, release.id, who=ctx.who, cause=why)
        ctx.check()
        raise BackedOut(
            f"Release {release.id} is not started: {why}. Visitors see what they saw before; its "
            "migrations stay. Mend the line, or what it runs, and run: invoke deploy",
            tuple(said),
        )


def _run(argv: Sequence[str], ctx: Context, line: Callable[[str], None]) -> str | None:
    """Run a command to its end; returns what is wrong, or None.

    It runs as root, by sudo, and cannot be killed from here: it ends when nobody reads its output.
    """
    ends = time.monotonic() + LIMIT_SECONDS
    problem = None
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        assert process.stdout
        rest = b""
        while problem is None:
            if ctx.cancel.is_set():
                problem = "was interrupted"
            elif time.monotonic() > ends:
                problem = f"did not end within {LIMIT_SECONDS:.0f} s"
            if not select.select([process.stdout], [], [], LOOK_SECONDS)[0]:
                continue
            data = os.read(process.stdout.fileno(), CHUNK)
            *whole, rest = (rest + data).split(b"\n")
            for text in [*whole, *([] if data else [rest])]:
                if text.strip():
                    line(text.decode(errors="replace").rstrip())
            if not data:
                break
        process.stdout.close()
        status = process.wait()
    return problem or (f"ended with exit code {status}" if status else None)
