"""slipway-backup: what the units of systemd run, and what a controller asks as root."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from slipway_backup import (
    adopting,
    backing,
    files,
    following,
    pgbackrest,
    rehearsing,
    restoring,
    running,
    store,
    verifying,
    watching,
)
from slipway_backup.events import Events
from slipway_backup.settings import Settings, load
from slipway_backup.trouble import Trouble

Run = Callable[[Settings, Events], Any]


def main(argv: list[str]) -> int:
    """Run one verb; its answer is JSON on standard output, but for those that units run."""
    parser = argparse.ArgumentParser(prog="slipway-backup", description="Backups of this droplet.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    unit = verbs.add_parser("unit", help="what slipway-backup@NAME.service runs")
    unit.add_argument("name", choices=sorted(UNITS))
    verbs.add_parser("prepare", help="make the repository, where there is none")
    verbs.add_parser("adopt", help="take over what a lost droplet has left in the repository")
    verbs.add_parser("watch", help="look what is wrong, and alert of what is new")
    verbs.add_parser("state", help="what there is, as JSON")
    begin = verbs.add_parser("begin", help="start a unit, and do not wait for it")
    begin.add_argument("name", choices=sorted(UNITS))
    begin.add_argument("request", help="what it is asked for, as JSON")
    follow = verbs.add_parser("follow", help="what a unit has told since")
    follow.add_argument("name", choices=sorted(UNITS))
    follow.add_argument("offset", type=int)
    plan = verbs.add_parser("plan", help="what going back would need and lose")
    plan.add_argument("app")
    plan.add_argument("to")
    for name in ("swap", "forget"):
        verbs.add_parser(name).add_argument("app")
    args = parser.parse_args(argv)
    settings = load()
    if args.verb == "unit":
        return _unit(settings, args.name)
    try:
        print(json.dumps(_ANSWERS[args.verb](settings, args)))
    except Trouble as trouble:
        return _refuse(trouble)
    except Exception as error:
        return _refuse(_unexpected(error))
    return 0


def _refuse(trouble: Trouble) -> int:
    print(json.dumps({"error": {"message": trouble.sentence, "detail": list(trouble.detail)}}))
    return 1


def _unexpected(error: Exception) -> Trouble:
    """What nobody thought of, as a sentence; the journal has all of it."""
    told = traceback.format_exception(error)
    return Trouble(f"slipway-backup failed on the droplet: {error!r}", "".join(told).splitlines())


def _unit(settings: Settings, name: str) -> int:
    """One run of a unit. How it went is remembered, and told to who waits for it."""
    events = Events(running.told(settings, name))
    signal.signal(signal.SIGTERM, _ended)
    try:
        with running.alone(settings, events), store.remembered(settings, name, name in SCHEDULED):
            found = UNITS[name](settings, events)
    except Trouble as trouble:
        events.error(trouble.sentence, trouble.detail)
        return 1
    except Exception as error:
        unexpected = _unexpected(error)
        events.error(unexpected.sentence, unexpected.detail)
        return 1
    watching.refresh()
    events.done(found)
    return 0


def _ended(*_: object) -> None:
    """Ended from outside it takes away what it has made so far."""
    raise Trouble("It was ended before it was done")


def _full(settings: Settings, events: Events) -> Any:
    done = backing.backup(settings, events, "full")
    files.prune(settings, events)
    return done


def _restore(settings: Settings, events: Events) -> Any:
    asked = running.request(settings, "restore")
    return restoring.prepare(settings, events, asked["app"], asked["to"], asked["migrate"])


UNITS: Mapping[str, Run] = {
    "full": _full,
    "diff": lambda settings, events: backing.backup(settings, events, "diff"),
    "files": files.backup,
    "verify": verifying.verify,
    "media": adopting.media,
    "rehearse": rehearsing.rehearse,
    "restore": _restore,
}

# A restore has somebody who waits for it.
SCHEDULED = ("full", "diff", "files", "verify")


def _prepare(settings: Settings, args: argparse.Namespace) -> Any:
    """Make what is missing; a repository that was written with another key is told of."""
    followed = following.follow(settings.cluster)
    before = pgbackrest.info()
    pgbackrest.call("stanza-create")
    pgbackrest.call("check")
    made = files.prepare(settings)
    store.begin(settings)
    watching.look(settings)
    return {"made": made or followed, "backups": len(before)}


def _begin(settings: Settings, args: argparse.Namespace) -> Any:
    running.begin(settings, args.name, args.request)
    return {}


_ANSWERS: Mapping[str, Callable[[Settings, argparse.Namespace], Any]] = {
    "prepare": _prepare,
    "adopt": lambda settings, args: adopting.adopt(settings),
    "watch": lambda settings, args: watching.look(settings),
    "state": lambda settings, args: watching.look(settings),
    "begin": _begin,
    "follow": lambda settings, args: running.follow(settings, args.name, args.offset),
    "plan": lambda settings, args: restoring.plan(settings, args.app, args.to),
    "swap": lambda settings, args: restoring.swap(args.app),
    "forget": lambda settings, args: restoring.forget(args.app),
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
