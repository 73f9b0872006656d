"""The release tool's command line, for whoever is logged in on the droplet."""

from __future__ import annotations

import argparse
import json
import os
import pwd
import signal
import sys
import threading
from contextlib import ExitStack
from datetime import UTC, datetime

from deploy.host import lock, maintenance
from deploy.host.changes import parse, short
from deploy.host.context import Context, context
from deploy.host.errors import NeedsYou, Refused, SlipwayError
from deploy.host.events import TextReporter
from deploy.host.history import history
from deploy.host.recovery import recover
from deploy.host.rolling import rollback
from deploy.host.status import status
from deploy.host.verifying import verify

INTERRUPTED = 130
NOT_WELL = 1


def main(argv: list[str]) -> int:
    """Do what was typed; returns the exit code."""
    parser = argparse.ArgumentParser(prog="slipway", description="Releases of one site.")
    parser.add_argument("app", help="name of the site, as in the inventory")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="talk to a controller over standard input and output")
    listing = commands.add_parser("releases", help="list the releases")
    listing.add_argument("--json", action="store_true", help="for scripts")
    commands.add_parser("status", help="what is live, as JSON")
    back = commands.add_parser("rollback", help="go back to a release that was live and healthy")
    back.add_argument("release", nargs="?", help="its id; default: the newest")
    back.add_argument(
        "--reverse-migrations", action="store_true", help="also take back what it cannot live with"
    )
    back.add_argument(
        "--restore", action="store_true", help="put the database back to before its migrations"
    )
    back.add_argument("--wait", action="store_true", help="wait while a deploy runs")
    _add_maintenance(commands.add_parser("maintenance", help="keep visitors out, or let them in"))
    commands.add_parser("verify", help="compare all files with what was pushed")
    args = parser.parse_args(argv)
    return _run(args)


def _add_maintenance(parser: argparse.ArgumentParser) -> None:
    switch = parser.add_subparsers(dest="switch", required=True)
    on = switch.add_parser(
        "on",
        help="visitors get a page with status 503",
        epilog="example: slipway locallibrary maintenance on --message 'Back at noon.' "
        "--allow 203.0.113.7",
    )
    on.add_argument("--message", default="", help="what the page says")
    on.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="a single address, IPv4 or IPv6, that sees the site; may be given several times",
    )
    off = switch.add_parser("off", help="visitors see the site again")
    for command in (on, off):
        command.add_argument("--wait", action="store_true", help="wait while a deploy runs")


def _run(args: argparse.Namespace) -> int:
    """One command of somebody who is logged in on the droplet."""
    reporter = TextReporter()
    try:
        who = os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
        ctx = context(
            args.app,
            reporter,
            f"{who} on the droplet",
            f"slipway {args.command}",
            threading.Event(),
        )
        with ExitStack() as stack:
            if args.command == "rollback":
                # Ctrl-C is a request to back out in order, not an exception in the middle.
                signal.signal(signal.SIGINT, lambda *_: ctx.cancel.set())
                stack.enter_context(lock.of(ctx, args.wait))
                recover(ctx)
            elif args.command == "maintenance":
                stack.enter_context(lock.of(ctx, args.wait))
            return _COMMANDS[args.command](ctx, args)
    except SlipwayError as error:
        print(f"{args.command}: {error.message}", *error.detail, sep="\n  ", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"{args.command}: {error}. Run it with sudo", file=sys.stderr)
        return Refused.exit_code
    except KeyboardInterrupt:
        # Of a rollback it is a request; everything else can be left where it stands.
        print(f"{args.command}: interrupted. Look: slipway {args.app} status", file=sys.stderr)
        return INTERRUPTED


def _rollback(ctx: Context, args: argparse.Namespace) -> int:
    done = rollback(ctx, args.release, args.reverse_migrations, args.restore)
    print(f"{done['release']['id']} is live again; {done['left']} was taken back.")
    return 0


def _releases(ctx: Context, args: argparse.Namespace) -> int:
    found = history(ctx)
    if args.json:
        print(json.dumps(found, indent=2))
        return 0
    for release in found:
        age = _age(release["created_at"])
        print(f"{release['id']}  {release['state']:<12} {age:>5}  {release['subject']}")
        told = short(parse(release["changes"])) if release["changes"] else []
        if told:
            print(f"    {', '.join(told)}")
    return 0


def _status(ctx: Context, args: argparse.Namespace) -> int:
    found = status(ctx)
    print(json.dumps(found, indent=2))
    return NOT_WELL if found["problems"] else 0


def _maintenance(ctx: Context, args: argparse.Namespace) -> int:
    if args.switch == "on":
        told = maintenance.told_on(maintenance.begin(ctx, args.message, args.allow))
    else:
        told = maintenance.told_off(maintenance.end(ctx))
    print(told)
    return 0


def _verify(ctx: Context, args: argparse.Namespace) -> int:
    wrong = verify(ctx)["differing"]
    print(*wrong, f"{len(wrong)} files differ from what was pushed.", sep="\n")
    return NeedsYou.exit_code if wrong else 0


_COMMANDS = {
    "rollback": _rollback,
    "releases": _releases,
    "status": _status,
    "maintenance": _maintenance,
    "verify": _verify,
}


def _age(moment: str) -> str:
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
