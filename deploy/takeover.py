"""Packages of an earlier build, taken over where both lock files say the same of them.

To unpack and compile a hundred packages takes seconds, and mostly one of them has changed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.artifact import TREE, stamp
from deploy.kept import WHOLE, newest_first

# What a folder of packages holds beside them: what they were made of.
MADE_OF = ".made-of.json"
# What is told of a folder itself; the last is a lock of uv's.
TOLD = {MADE_OF, TREE, WHOLE, ".lock"}
NAME = re.compile(r"[A-Za-z0-9._-]+")


def entries(requirements: str) -> dict[str, list[str]]:
    """Package -> all that a lock file says of it; "" -> its options, which say it of all."""
    found: dict[str, list[str]] = {}
    for line in requirements.replace("\\\n", " ").splitlines():
        said = " ".join(re.sub(r"(^|\s)#.*", "", line).split())
        if said:
            name = NAME.match(said)
            key = re.sub(r"[._-]+", "-", name[0]).lower() if name and said[0] != "-" else ""
            found.setdefault(key, []).append(said)
    return found


@contextmanager
def taken_over(
    draft: Path,
    requirements: Path,
    made_for: Sequence[str],
    uninstall: Callable[[Sequence[str]], None],
) -> Iterator[Mapping[str, str]]:
    """Begin with the packages of the build used last, but for those that are others now.

    The block makes the draft whole. It is given the object names of the files that were taken over.
    They are hard links: package tools replace them, and never write into them.

    Args:
        draft: where they go, beside earlier builds; with none of use it is left as it is.
        made_for: what else decides which files a package has: platform, Python.
        uninstall: removes packages from the draft, by name.
    """
    wanted = entries(requirements.read_text())
    names: Mapping[str, str] = {}
    for sibling in newest_first(draft):
        try:
            known = json.loads((sibling / MADE_OF).read_text())
            packages = known["packages"]
            if known["for"] != [*made_for] or packages.get("") != wanted.get(""):
                continue
            _link(sibling, draft)
            names = _names(sibling)
        except (OSError, shutil.Error, ValueError):
            # It is of before there was this listing, or another build has just removed it.
            shutil.rmtree(draft, ignore_errors=True)
            continue
        others = [name for name, said in packages.items() if name and said != wanted.get(name)]
        if others:
            uninstall(others)
        break
    yield names
    (draft / MADE_OF).write_text(json.dumps({"for": [*made_for], "packages": wanted}))


def _link(sibling: Path, draft: Path) -> None:
    def told(folder: str, names: list[str]) -> set[str]:
        return TOLD.intersection(names) if folder == str(sibling) else set()

    shutil.copytree(
        sibling, draft, symlinks=True, ignore=told, copy_function=os.link, dirs_exist_ok=True
    )


def _names(sibling: Path) -> dict[str, str]:
    listing = sibling / TREE
    listed: dict[str, str] = json.loads(listing.read_text()) if listing.exists() else {}
    return {stamp((sibling / path).stat()): name for path, name in listed.items()}
