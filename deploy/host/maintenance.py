"""Maintenance: visitors get a page with status 503, and whoever is let in sees the site.

Nginx looks for the page at each request (roles/nginx: site.conf.j2), so that a link which comes or
goes is all of it: no reload, no root, and nothing in between when a run is killed.
"""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from deploy.host import audit
from deploy.host.context import Context
from deploy.host.errors import BackedOut, Refused
from deploy.host.layout import Layout

MESSAGE = "We are working on this site. Please come back a little later."
PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Back soon</title>
</head>
<body style="font:1.1rem/1.6 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem">
<main>
<h1>Back soon</h1>
<p style="white-space:pre-line;overflow-wrap:anywhere">{message}</p>
</main>
</body>
</html>
"""
# The droplet itself is let in, and asks from an address that it would not use otherwise when it
# wants to see what visitors see.
STRANGER = "127.0.0.2"
ASK_SECONDS = 5.0


@dataclass(frozen=True)
class Maintenance:
    """``since`` and ``who`` are those of the beginning, also after its message was replaced."""

    since: str
    who: str
    message: str
    allow: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def read(layout: Layout) -> Maintenance | None:
    """What is on, or None."""
    try:
        values = json.loads((layout.maintenance_on / "state.json").read_text())
    except (OSError, ValueError):
        return None
    return Maintenance(**{**values, "allow": tuple(values["allow"])})


def facts(layout: Layout) -> dict[str, Any] | None:
    """The same for whoever asks; None while visitors are let in."""
    found = read(layout)
    return found.to_json() if found else None


def closed_since(ctx: Context) -> str | None:
    """Since when visitors are kept out, as they see it: an older playbook may have run since."""
    state = read(ctx.layout)
    return state.since if state and _problem(ctx) is None else None


def begin(ctx: Context, message: str, allow: Sequence[str]) -> dict[str, Any]:
    """Show visitors a page with the message ("" for a general one). Needs the lock.

    What is on already is replaced.

    Args:
        allow: addresses that see the site.

    Raises:
        Refused: no address, or no room for the page; nothing was changed.
        BackedOut: Nginx does not show the page; maintenance is off.
    """
    layout = ctx.layout
    addresses = parse_addresses(allow)
    before = read(layout)
    # What a terminal sent that was no text cannot be written as one.
    text = message.encode(errors="replace").decode().strip() or MESSAGE
    since, who = (before.since, before.who) if before else (audit.now(), ctx.who)
    state = Maintenance(since, who, text, addresses)
    try:
        folder = _prepare(layout, state)
    except OSError as error:
        tidy(layout)
        raise Refused(
            f"The page for visitors cannot be written: {error}. Nothing was changed. "
            "Look: invoke status"
        ) from None
    facts = {"message": text, "allow": list(addresses)}
    audit.append(layout, audit.MAINTENANCE_ON, "", who=ctx.who, **facts)
    _point(layout, folder)
    tidy(layout)
    problem = _problem(ctx)
    if problem:
        _remove(ctx, cause=problem)
        raise BackedOut(
            f"Visitors do not get the page: {problem}. Maintenance is off. Nginx here is as an "
            "older playbook made it, or did not take what a newer one wrote. Run: "
            "ansible-playbook site.yml, then: invoke maintenance.on"
        )
    return state.to_json()


def end(ctx: Context) -> dict[str, Any]:
    """Show visitors the site again; says whether they did not see it. Needs the lock."""
    on = os.path.lexists(ctx.layout.maintenance_on)
    if on:
        _remove(ctx)
    return {"changed": on}


def told_on(done: Mapping[str, Any]) -> str:
    """What :func:`begin` did, for people."""
    seeing = ", ".join([*done["allow"], "the droplet itself"])
    return (
        f"Maintenance is on: visitors get status 503 and this message: {done['message']}\n"
        f"The site is still seen by {seeing} and whoever asks for its health"
    )


def told_off(done: Mapping[str, Any]) -> str:
    """What :func:`end` did, for people."""
    if done["changed"]:
        return "Maintenance is off: visitors see the site again"
    return "Nothing changed: maintenance is off already"


def parse_addresses(given: Sequence[str]) -> tuple[str, ...]:
    """Addresses as Nginx writes those of visitors, which is how it looks them up.

    Raises:
        Refused: one is none.
    """
    return tuple(dict.fromkeys(_parse(text.strip()) for text in given))


def _parse(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Refused(
            f"{text!r} is no address that can be let in. Name single ones, without a network: "
            "--allow 203.0.113.7 --allow 2001:db8::7"
        ) from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id:
            raise Refused(f"{text!r} has a zone, which no visitor's has. Leave out what follows %")
        # Who comes by IPv4 has an address of IPv4, however it is written.
        return str(address.ipv4_mapped or address)
    return str(address)


def make_page(message: str) -> str:
    """The page for visitors."""
    return PAGE.format(message=escape(message))


def tidy(layout: Layout) -> None:
    """Remove what is not in use: a state that was replaced, or was half made when it was killed."""
    if not layout.maintenance.is_dir():
        return
    kept = layout.maintenance_on.resolve()
    for path in layout.maintenance.iterdir():
        if path.is_symlink():
            if path != layout.maintenance_on:
                path.unlink()
        elif path != kept:
            shutil.rmtree(path)


def _prepare(layout: Layout, state: Maintenance) -> Path:
    """All that Nginx looks for, forced to the disk: a power failure must not leave half of it."""
    folder = layout.maintenance / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    allow = folder / "allow"
    allow.mkdir(parents=True)
    for address in state.allow:
        (allow / address).touch()
    (folder / "page.html").write_text(make_page(state.message), encoding="utf-8")
    (folder / "state.json").write_text(json.dumps(state.to_json()))
    os.sync()
    return folder


def _point(layout: Layout, folder: Path) -> None:
    draft = layout.maintenance / ".on"
    draft.unlink(missing_ok=True)
    draft.symlink_to(folder.name)
    draft.rename(layout.maintenance_on)
    os.sync()


def _remove(ctx: Context, **facts: Any) -> None:
    audit.append(ctx.layout, audit.MAINTENANCE_OFF, "", who=ctx.who, **facts)
    ctx.layout.maintenance_on.unlink()
    os.sync()
    tidy(ctx.layout)


def _problem(ctx: Context) -> str | None:
    """Why a visitor does not get the page, or None. Without Nginx there is nobody who gets more."""
    # Here, because each conversation asks whether maintenance is on.
    import http.client

    from deploy.host import health

    page = (ctx.layout.maintenance_on / "page.html").read_bytes()
    try:
        answer = health.ask_public(ctx.site.domain, "/", ASK_SECONDS, source=STRANGER)
    except (OSError, http.client.HTTPException) as error:
        ctx.reporter.event(phase="maintenance", note=f"Nginx does not answer now ({error})")
        return None
    if answer.status == 503 and answer.body == page:
        return None
    return f"https://{ctx.site.domain}/ answered {answer.status} and something else"
