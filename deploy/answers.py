"""What a project says of itself, and its static files: asked once for equal inputs."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import Any

from deploy import asking, collection
from deploy.artifact import digest_of
from deploy.asking import config_vars_of
from deploy.collection import Collection
from deploy.errors import Refused
from deploy.exports import Export, folder_of
from deploy.kept import kept
from deploy.revision import Revision, changed_paths
from deploy.target import Target

# A project that was changed in nothing else mostly answers what it did, but for migrations.
CODE = (".py", ".html", ".txt")
MIGRATIONS = "migrations"
# Folders of files that no model and no migration is made of, unless they are code.
PAGES = {"templates", "static"}
# In the folder of an answer; in that of migrations that have all that the models have.
FACTS, COMPARED = "facts.json", "migrations.json"


@dataclass(frozen=True)
class Answer:
    """The facts of in_project.py, and the static files that were collected."""

    collected: Collection
    facts: Mapping[str, Any]


class Question:
    """A revision's project, asked with the packages of a venv on this machine.

    Args:
        root: keeps what was answered.
        export: of the revision.
        python: of that venv.
    """

    def __init__(
        self, root: Path, export: Export, python: Path, target: Target, revision: Revision
    ) -> None:
        self._export, self._python = export, python
        self._target, self._revision = target, revision
        self._given, self._hidden = config_vars_of(root, target)
        self._cache = root / ".slipway" / "cache"
        self._last = root / ".slipway" / "answers" / f"{target.environment}.{target.app}.json"
        told = json.dumps([self._given, self._hidden, dict(target.build_env)], sort_keys=True)
        self._beside = [python.parents[1].name, told, asking.IN_PROJECT.read_text()]
        self._beside += [target.domain, *target.addons]

    def foreseen(self) -> Answer | None:
        """The answer remembered, where this one is not known and little has changed since."""
        if self._place(self._revision.tree).exists():
            return None
        try:
            last = json.loads(self._last.read_text())["tree"]
        except FileNotFoundError:
            return None
        made, changed = self._place(last), changed_paths(self._revision, last)
        if changed is None or not all(map(_is_code, changed)) or not made.exists():
            return None
        answer = self._read(kept(made, _never))
        # An absolute path into the source, which each revision has a folder of its own for.
        root, before = (
            os.path.realpath(path)
            for path in (answer.facts["static_root"], folder_of(self._cache, last))
        )
        if root.startswith(f"{before}/"):
            moved = os.path.realpath(self._export.folder) + root.removeprefix(before)
            answer = replace(answer, facts={**answer.facts, "static_root": moved})
        return answer

    def answer(self) -> Answer:
        """What the project says.

        Raises:
            Refused: it does not run.
        """
        return self._read(kept(self._place(self._revision.tree), self._look))

    def remember(self) -> None:
        """The answer was a good one: the next may be expected to be the same."""
        self._last.parent.mkdir(parents=True, exist_ok=True)
        # Another deploy of this environment may be reading it.
        draft = self._last.with_name(f".{self._last.name}.{os.getpid()}")
        draft.write_text(json.dumps({"tree": self._revision.tree}))
        draft.rename(self._last)

    def _place(self, tree: str) -> Path:
        """Where the answer for a tree is kept; one to another question has another place."""
        return self._cache / "static" / digest_of([tree, *self._beside])[:16]

    def _look(self, draft: Path) -> None:
        files, gzip = draft / collection.FILES, self._cache / "gzip"
        facts = self._ask(files)
        if not facts["changes"] and not facts["conflicts"]:
            kept(self._compared, partial(_list, facts["migrations"]))
        # They can be many, and the collection tells them.
        hashed = facts.pop("hashed")
        if facts["collection"]:
            place = self._collections / facts["collection"]
            kept(place, lambda made: _keep(files, hashed, facts["manifest"], made, gzip))
        else:
            collection.write(draft, hashed, facts["manifest"], gzip)
        (draft / FACTS).write_text(json.dumps(facts))

    def _read(self, made: Path) -> Answer:
        facts = json.loads((made / FACTS).read_text())
        if facts["collection"]:
            # Kept as long as what leads to it, which is used at the same moments.
            made = kept(self._collections / facts["collection"], _never)
        return Answer(collection.read(made), facts)

    def _ask(self, files: Path) -> Any:
        """The facts. Where the project does not run without secrets, random words stand in."""
        ask = partial(asking.ask, self._python, self._export.folder, self._target)
        known = self._collections, self._export.listing, self._compared / COMPARED
        try:
            return ask(self._given, files, *known)
        except Refused as refused:
            if not self._hidden:
                raise
            stand_ins = {name: secrets.token_urlsafe(50) for name in self._hidden}
            try:
                return ask({**stand_ins, **self._given}, files, *known)
            except Refused:
                # Of the stand-ins it would be misleading.
                raise refused from None

    @property
    def _collections(self) -> Path:
        return self._cache / "collections"

    @cached_property
    def _compared(self) -> Path:
        """Named by all that models and migrations are made of: they need comparing once."""
        files = self._export.files.items()
        of_them = sorted(f"{path} {name}" for path, name in files if _counts(path))
        return self._cache / MIGRATIONS / digest_of([*of_them, *self._beside])[:16]


def _keep(files: Path, hashed: Sequence[str], manifest: str | None, made: Path, gzip: Path) -> None:
    """Static files that were collected just now."""
    files.rename(made / collection.FILES)
    collection.write(made, hashed, manifest, gzip)
    (made / "told.json").write_text(json.dumps([hashed, manifest]))


def _list(migrations: Sequence[str], made: Path) -> None:
    (made / COMPARED).write_text(json.dumps(migrations))


def _never(_: Path) -> None:
    raise Refused("A part of .slipway/cache is gone. Remove that folder, and run it again")


def _counts(path: str) -> bool:
    return path.endswith(".py") or PAGES.isdisjoint(path.split("/"))


def _is_code(path: str) -> bool:
    return path.endswith(CODE) and MIGRATIONS not in PurePosixPath(path).parts
