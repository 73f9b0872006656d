"""Bake: a live release is watched for a while, against the one before."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from deploy.host import health
from deploy.host.context import Context
from deploy.host.health import Counters
from deploy.host.processes import WEB, processes
from deploy.host.release import Release
from deploy.host.units import ACTIVE

PROBE_SECONDS = 0.25
PROBE_TIMEOUT = 5.0
# Failed probes in a row that mean the release, not a hiccup.
BAD_PROBES = 2
# One failed answer is no share yet.
FEWEST_FAILURES = 3
# Workers begun beyond those of the start, before it is called a crash: Gunicorn replaces one now
# and then by itself (max_requests).
FEWEST_CRASHES = 2
# Django is imported within it, and systemd starts again what ended after one second (RestartSec).
PROCESS_SECONDS = 3.0


@dataclass(frozen=True)
class Before:
    """How the site was just before the switch.

    ``trouble`` is what was wrong as visitors saw it (None: nothing, or no release yet);
    ``share`` the share of 5xx answers of the release that served, None when none did.
    """

    trouble: str | None = None
    share: float | None = None


def look(ctx: Context, previous: str | None) -> Before:
    """The state of things that a new release is measured against."""
    if previous is None:
        return Before()
    counters = health.count(ctx.layout.socket(previous), ctx.site.domain)
    return Before(probe(ctx, previous), counters.share if counters else 0.0)


def bake(
    ctx: Context,
    release: Release,
    before: Before,
    note: Callable[[str], None],
    meanwhile: Callable[[], None] = lambda: None,
) -> str | None:
    """Watch the live release; returns what is wrong with it, or None after ``bake_seconds``.

    The first release of a site is asked once: there is nothing to hold it against or to go back to.

    Args:
        meanwhile: what is done after the first look, as there is nothing else to do.
    """
    unit = ctx.units.state(release.id)
    start = _count(ctx, release)
    usual_share = before.share or 0.0
    watched = 0.0 if before.share is None else ctx.site.bake_seconds
    deadline = time.monotonic() + watched
    bad = 0
    for looks in count():
        trouble = probe(ctx, release.id)
        bad = bad + 1 if trouble else 0
        # Trouble that was there before the switch (Nginx down, say) is not this release's fault.
        if trouble and before.trouble is None and bad >= BAD_PROBES:
            return trouble
        state = ctx.units.state(release.id)
        if not state.running or state.restarts > unit.restarts:
            return f"its unit crashed ({state.active}/{state.sub}, {state.result})"
        seen = _count(ctx, release).since(start)
        if seen.workers >= FEWEST_CRASHES:
            return f"{seen.workers} of its workers crashed"
        if (
            seen.failures >= FEWEST_FAILURES
            and seen.share > usual_share + ctx.site.bake_error_share
        ):
            return (
                f"{seen.failures} of {seen.requests} answers were 5xx "
                f"({seen.share:.0%}, before the switch {usual_share:.0%})"
            )
        if ctx.cancel.is_set():
            return "somebody pressed Ctrl-C"
        if looks == 0:
            meanwhile()
        if time.monotonic() >= deadline and (not trouble or before.trouble is not None):
            break
        time.sleep(PROBE_SECONDS)
    if trouble:
        note(f"not judged from outside, as it was so before the switch: {trouble}")
    else:
        note(f"{seen.requests} answers, {seen.failures} of them 5xx")
    return None


def bake_processes(ctx: Context, release: str) -> str | None:
    """Watch workers and schedulers that were just started; returns which one ended, or None."""
    deadline = time.monotonic() + PROCESS_SECONDS
    while time.monotonic() < deadline:
        for entry in processes(ctx):
            running = entry["state"] == f"{ACTIVE}/running" and not entry["restarts"]
            if entry["release"] == release and entry["process"] != WEB and not running:
                said = f"invoke logs --process {entry['process']} --release {release}"
                return f"its process {entry['process']} ended when it had just begun ({said})"
        if ctx.cancel.is_set():
            return "somebody pressed Ctrl-C"
        time.sleep(PROBE_SECONDS)
    return None


def probe(ctx: Context, expected: str) -> str | None:
    """What is wrong with the site as visitors see it through Nginx, or None."""
    page = ctx.site.ready_path or ctx.site.pages[0]
    try:
        answer = health.ask_public(ctx.site.domain, page, PROBE_TIMEOUT)
    except (OSError, http.client.HTTPException) as error:
        return f"https://{ctx.site.domain}{page} cannot be reached on the droplet ({error})"
    if answer.status >= 500:
        return f"https://{ctx.site.domain}{page} answers {answer.status}"
    served_by = answer.headers.get(health.RELEASE_HEADER, expected)
    if served_by != expected:
        return f"https://{ctx.site.domain}{page} is answered by release {served_by}"
    return None


def _count(ctx: Context, release: Release) -> Counters:
    return health.count(ctx.layout.socket(release.id), ctx.site.domain) or Counters()
