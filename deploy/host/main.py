"""The release tool's two faces: a conversation with the controller, and a command line."""

from __future__ import annotations

import argparse
import json
import os
import pwd
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

from deploy.host import audit, lock, logs, maintenance, operations, planning, reading
from deploy.host.certificates import certificates
from deploy.host.changes import parse, short
from deploy.host.context import Context
from deploy.host.errors import NeedsYou, Refused, SlipwayError
from deploy.host.events import JsonReporter, TextReporter
from deploy.host.history import history
from deploy.host.processes import processes
from deploy.host.recovery import recover
from deploy.host.restarting import restart, scale
from deploy.host.rolling import rollback
from deploy.host.settling import settle, survey
from deploy.host.site import load
from deploy.host.status import status
from deploy.host.units import Units
from deploy.host.verifying import verify
from deploy.host.wire import Wire

NICENESS = 10
INTERRUPTED = 130
NOT_WELL = 1


def main(argv: list[str]) -> int:
    """``APP serve`` is the controller's; the rest is for people on the droplet."""
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
    os.umask(0o022)
    return serve(args.app) if args.command == "serve" else run(args)


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


def serve(app: str) -> int:
    """Take commands from the controller until it says no more.

    The first command is ``open``: it takes the lock, or not, puts right what a killed run left
    behind, or not, and is answered with the facts.
    A controller that goes away ends the tool between two commands, never inside one.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # Visitors first: what a deploy computes may take its time.
    os.nice(NICENESS)
    reporter = JsonReporter()
    wire = Wire(sys.stdin.fileno())
    with ExitStack() as stack:
        try:
            opening = wire.command()
            if opening is None:
                return 0
            ctx = _context(app, reporter, opening["who"], opening["command"], wire.cancel)
            if opening["lock"]:
                _lock(stack, ctx, wait=opening["wait"])
                if opening["recover"]:
                    recover(ctx)
            reporter.event(result=reading.facts(ctx))
            while (command := wire.command()) is not None:
                reporter.event(result=_serve_one(ctx, wire, command))
        except SlipwayError as error:
            reporter.failure(error)
            return error.exit_code
        except Exception as error:  # the controller shows it; a traceback would break the lines
            reporter.failure(_unexpected(error))
            return NeedsYou.exit_code
    return 0


def run(args: argparse.Namespace) -> int:
    """One command of somebody who is logged in on the droplet."""
    reporter = TextReporter()
    try:
        who = os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
        ctx = _context(
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
                _lock(stack, ctx, wait=args.wait)
                recover(ctx)
            elif args.command == "maintenance":
                _lock(stack, ctx, wait=args.wait)
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


def _context(
    app: str,
    reporter: JsonReporter | TextReporter,
    who: str,
    command: str,
    cancel: threading.Event,
) -> Context:
    site = load(app)
    return Context(site, Units(site), reporter, who, command, cancel)


def _lock(stack: ExitStack, ctx: Context, wait: bool) -> None:
    def waiting(holding: str) -> None:
        ctx.reporter.event(phase="lock", note=f"{holding}; waiting")

    stack.enter_context(lock.hold(ctx.layout.lock, ctx.who, ctx.command, wait, waiting))


def _serve_one(ctx: Context, wire: Wire, command: Mapping[str, Any]) -> Any:
    name = command["do"]
    if name == "push":
        return operations.push(ctx, wire, command["bytes"], command["built_by"])
    if name == "packages":
        return operations.packages(ctx, wire, command["bytes"])
    if name == "plan":
        return planning.foresee(ctx, wire, command["bytes"], command["packages"])
    with wire.watch(gone_too=name == "logs"):
        return _OPERATIONS[name](ctx, command)


_OPERATIONS: Mapping[str, Callable[[Context, Mapping[str, Any]], Any]] = {
    "collectstatic": lambda ctx, command: operations.collectstatic(ctx, command["release"]),
    "migrate": lambda ctx, command: operations.migrate_to(
        ctx, command["release"], command["allow_breaking"]
    ),
    "stage": lambda ctx, command: operations.stage_only(ctx, command["release"]),
    "activate": lambda ctx, command: operations.go_live(ctx, command["release"]),
    "rollback": lambda ctx, command: rollback(
        ctx, command["release"], command["reverse"], command["restore"]
    ),
    "release": lambda ctx, command: reading.chosen(ctx, command["name"]).to_json(),
    "restored": lambda ctx, command: audit.append(
        ctx.layout, audit.RESTORED, "", who=ctx.who, to=command["to"], kept=command["kept"]
    ),
    "restore point": lambda ctx, command: reading.restore_point(ctx, command["release"]),
    "logs": lambda ctx, command: logs.logs(ctx, command),
    "ps": lambda ctx, command: processes(ctx),
    "restart": lambda ctx, command: restart(ctx, command["process"]),
    "scale": lambda ctx, command: scale(ctx),
    "certs": lambda ctx, command: certificates(ctx),
    "releases": lambda ctx, command: reading.releases(ctx),
    "history": lambda ctx, command: history(ctx),
    "judge": lambda ctx, command: planning.judge(ctx, command["release"], command["remove"]),
    "status": lambda ctx, command: status(ctx),
    "verify": lambda ctx, command: verify(ctx),
    "survey": lambda ctx, command: survey(ctx),
    "settle": lambda ctx, command: settle(ctx, command["came_from"], command["kept"]),
    "maintenance on": lambda ctx, command: maintenance.begin(
        ctx, command["message"], command["allow"]
    ),
    "maintenance off": lambda ctx, command: maintenance.end(ctx),
}


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


def _unexpected(error: Exception) -> NeedsYou:
    step = error.__traceback__
    while step and step.tb_next:
        step = step.tb_next
    where = f"{step.tb_frame.f_code.co_filename}:{step.tb_lineno}" if step else "?"
    return NeedsYou(
        f"The release tool failed on the droplet: {error!r} at {where}. Look: invoke status"
    )
