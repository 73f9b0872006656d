"""How many processes of each type run: `site_processes` of an environment's own file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from deploy import facts_file
from deploy.errors import Refused

VARIABLE = "site_processes"
WEB = "web"
# No droplet that one person keeps runs more; a slip of the keyboard asks for it.
MOST = 100
# Gunicorn takes a number on its own command line before that of its settings.
OWN_NUMBER = re.compile(r"\s(?:-w|--workers)(?:\s+|=)?[\d$]")


def counts(words: Iterable[str]) -> dict[str, int]:
    """TYPE=NUMBER words as a mapping.

    Raises:
        Refused: a word is no such pair, or the number is none that can run.
    """
    given = {}
    for word in words:
        process, equals, number = word.partition("=")
        if not equals or not process or not number.isdecimal() or int(number) > MOST:
            raise Refused(
                f"{word!r} is no number of processes: write TYPE=NUMBER, {MOST} at most: "
                "invoke ps.scale worker=2"
            )
        given[process] = int(number)
    if not given:
        raise Refused("Say how many of what, such as: invoke ps.scale worker=2")
    if given.get(WEB) == 0:
        raise Refused("The site needs a web process. To keep visitors out: invoke maintenance.on")
    return given


def check(counts: Mapping[str, int], processes: Mapping[str, str]) -> None:
    """Whether the live release can run that.

    Args:
        processes: its Procfile, type -> command.

    Raises:
        Refused: its Procfile has no such process, or sets the number itself.
    """
    there = {name: command for name, command in processes.items() if name != "release"}
    for name, count in counts.items():
        if name not in there and count:
            raise Refused(f"The live release's Procfile has no {name}, only: {', '.join(there)}")
    own = OWN_NUMBER.search(there.get(WEB, ""))
    if own and WEB in counts:
        raise Refused(
            f"The Procfile's web line says{own[0]}... itself, and that counts. Take it out there, "
            "deploy, and scale again"
        )


def changed(path: Path, counts: Mapping[str, int]) -> str:
    """The file's text with these numbers.

    Raises:
        Refused: the file cannot be edited.
    """
    document = facts_file.load(path)
    present = facts_file.mapping(document, VARIABLE, path)
    present.update(counts)
    document[VARIABLE] = present
    return facts_file.text(document)
