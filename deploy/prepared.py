"""What a deploy asks first, found out while ``site.yml`` is at the droplet (roles/controller)."""

from __future__ import annotations

import sys
from pathlib import Path

from deploy import platforms
from deploy.errors import SlipwayError
from deploy.inventory import read_target
from deploy.target import Platform


def prepare(root: Path, inventory: Path, droplet: Platform) -> None:
    """Keep the target of an inventory, and the platform of its droplet.

    Args:
        root: this repository; nothing is kept of inventories elsewhere.

    Raises:
        Refused: the inventory names no target.
    """
    if inventory.resolve() == root.resolve() / "inventory" / inventory.name:
        platforms.keep(root, read_target(root, inventory.stem), droplet)


if __name__ == "__main__":
    _, path, python, machine = sys.argv
    try:
        prepare(Path.cwd(), Path(path), Platform(python, machine))
    except SlipwayError as error:
        sys.exit(str(error))
