"""Where it is measured: a droplet of the lab, provisioned, and a work tree that leads to it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self, TypeVar

import yaml

from benchmarks.clock import must
from benchmarks.model import Failed
from lab import droplets
from lab.errors import LabError
from tests.lab.inventories import hosts
from tests.lab.site import Site, clone_work_tree

Made = TypeVar("Made")


class Ground:
    """What benchmarks share during one `invoke bench`; made when the first of them asks for it.

    Args:
        name: of the droplet, which stays when all is done.
        note: told what goes on.
    """

    def __init__(self, name: str, note: Callable[[str], None]) -> None:
        self.name = name
        self.note = note
        self.stack = ExitStack()
        self._made: dict[Callable[[Ground], object], Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stack.close()

    def once(self, make: Callable[[Ground], Made]) -> Made:
        """What ``make`` makes, made once for all benchmarks."""
        if make not in self._made:
            self._made[make] = make(self)
        made: Made = self._made[make]
        return made

    @cached_property
    def folder(self) -> Path:
        """A folder that is gone at the end."""
        return Path(self.stack.enter_context(TemporaryDirectory(prefix="slipway-bench-")))

    @cached_property
    def site(self) -> Site:
        """The droplet, up and provisioned, with this very work tree live on it.

        Raises:
            Failed: there is no lab here, or it could not be provisioned or deployed to.
        """
        try:
            self.note(f"droplet {self.name}")
            droplet = droplets.up(self.name)
        except LabError as error:
            raise Failed(str(error)) from None
        clone = self.folder / "slipway"
        clone.mkdir()
        clone_work_tree(clone)
        site = Site(self.name, droplet.suite, droplet.address, clone)
        facts: dict[str, object] = {"ansible_host": site.address, "environment_name": site.name}
        inventory = clone / "inventory" / f"{site.name}.yml"
        inventory.write_text(f"---\n{yaml.safe_dump(hosts(site.name, facts))}")
        site.commit({}, "The work tree that is measured")
        self.note("site.yml")
        must(site.play())
        self.note("deploy")
        must(site.invoke("deploy"))
        return site
