"""The release tool's two faces: a conversation with the controller, and a command line."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack

from deploy.host import lock, lookups
from deploy.host.context import context
from deploy.host.errors import NeedsYou, SlipwayError
from deploy.host.events import JsonReporter
from deploy.host.wire import Wire

NICENESS = 10


def main(argv: list[str]) -> int:
    """``APP serve`` is the controller's; the rest is for people on the droplet."""
    os.umask(0o022)
    if argv[1:] == ["serve"]:
        return serve(argv[0])
    # Here, because a controller that opens a conversation should not wait for it.
    from deploy.host import by_hand

    return by_hand.main(argv)


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
            ctx = context(app, reporter, opening["who"], opening["command"], wire.cancel)
            if opening["lock"]:
                stack.enter_context(lock.of(ctx, wait=opening["wait"]))
            with lookups.begun(ctx) as looked_up:
                # Here, because a program is at work meanwhile.
                from deploy.host import reading
                from deploy.host.recovery import recover

                if opening["lock"] and opening["recover"]:
                    recover(ctx)
                facts = reading.facts(ctx)
                from deploy.host import candidate, operating

                reporter.event(result={**facts, **looked_up()})
            while (command := wire.command()) is not None:
                reporter.event(result=operating.operate(ctx, wire, command))
            # Begun, and never confirmed.
            candidate.withdraw(ctx)
        except SlipwayError as error:
            reporter.failure(error)
            return error.exit_code
        except Exception as error:  # the controller shows it; a traceback would break the lines
            reporter.failure(_unexpected(error))
            return NeedsYou.exit_code
    return 0


def _unexpected(error: Exception) -> NeedsYou:
    step = error.__traceback__
    while step and step.tb_next:
        step = step.tb_next
    where = f"{step.tb_frame.f_code.co_filename}:{step.tb_lineno}" if step else "?"
    return NeedsYou(
        f"The release tool failed on the droplet: {error!r} at {where}. Look: invoke status"
    )
