"""What all tasks share: options, and how an outcome becomes an exit code."""

from __future__ import annotations

import functools
import gc
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.parser.parser import ParseMachine
from invoke.tasks import task as invoke_task

from deploy.console import Console
from deploy.errors import SlipwayError

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = os.environ.get("SLIPWAY_ENV", "local")
INTERRUPTED = 130

HELP = {
    "env": "environment, the name of a file in inventory/ (or SLIPWAY_ENV)",
    "json": "print one JSON document, for scripts",
    "revision": "git revision to build; default: HEAD of a clean work tree",
    "wait": "wait while somebody else's deploy runs",
    "allow_breaking": "apply migrations that the live release cannot live with",
    "release": "id of a release, or the beginning of one; see: invoke releases",
}

Body = Callable[..., None]


def typed() -> tuple[str, ...]:
    """The words after `--`, as they were typed. Invoke's own remainder has lost their quotes."""
    return tuple(sys.argv[sys.argv.index("--") + 1 :]) if "--" in sys.argv else ()


def task(quiet: bool = False, **options: Any) -> Callable[[Body], Any]:
    """Make an Invoke task of a function whose first argument is a Console.

    Errors become one sentence and their exit code: 2 refused, 3 backed out, 4 needs you.

    Args:
        quiet: show no phases, for what is about something else's output.
    """

    def decorate(body: Body) -> Any:
        @functools.wraps(body)
        def run(context: Context, **arguments: Any) -> None:
            console = Console(as_json=bool(arguments.get("json")), quiet=quiet)
            try:
                body(console, **arguments)
            except SlipwayError as error:
                console.failure(error)
                sys.exit(error.exit_code)
            except KeyboardInterrupt:
                console.err.print("Interrupted. Look: invoke status")
                sys.exit(INTERRUPTED)
            finally:
                # Python would look for garbage in all that was imported before it ends.
                gc.freeze()

        known = {name: HELP[name] for name in inspect.signature(body).parameters if name in HELP}
        return invoke_task(run, help={**known, **options.pop("help", {})}, **options)

    return decorate


def _optional_positionals(original: Callable[[ParseMachine], None]) -> Callable[..., None]:
    """Invoke knows positional arguments and optional ones; `rollback [RELEASE]` is both."""

    def complete_context(machine: ParseMachine) -> None:
        for argument in machine.context.missing_positional_args if machine.context else ():
            if argument.optional:
                argument.set_value("")
        original(machine)

    return complete_context


def _help_is_no_positional(original: Callable[[ParseMachine, str], None]) -> Callable[..., None]:
    """Invoke takes any word for a positional argument that it waits for, --help too."""

    def see_positional_arg(machine: ParseMachine, word: str) -> None:
        flags = machine.initial.flags
        if word not in flags or flags[word].name != "help":
            original(machine, word)
            return
        flags[word].value = machine.context.name
        for argument in machine.context.missing_positional_args:
            argument.set_value("")

    return see_positional_arg


def _named_positionals(original: Callable[[ParseMachine, str], bool]) -> Callable[..., bool]:
    """Invoke finds `rollback --release ID` ambiguous: it waits for the word that ID is."""

    def check_ambiguity(machine: ParseMachine, word: str) -> bool:
        waited_for = machine.context.missing_positional_args if machine.context else ()
        if machine.flag in waited_for and not word.startswith("-"):
            return False
        return original(machine, word)

    return check_ambiguity


WRAPPERS: dict[str, Callable[[Any], Callable[..., Any]]] = {
    "complete_context": _optional_positionals,
    "see_positional_arg": _help_is_no_positional,
    "check_ambiguity": _named_positionals,
}
for name, wrapper in WRAPPERS.items():
    setattr(ParseMachine, name, wrapper(getattr(ParseMachine, name)))
