"""After an upgrade of PostgreSQL the repository goes over to the newer cluster."""

from __future__ import annotations

import struct
from pathlib import Path

from slipway_backup import pgbackrest


def follow(cluster: Path) -> bool:
    """Hand the repository over, if it belongs to a cluster that this droplet keeps beside its own.

    An upgrade keeps the older one, so a repository that this droplet never wrote to stays as it is.
    Backups begin anew after it.

    Args:
        cluster: the data directory of the one in use.
    """
    here, owner = identifier(cluster), pgbackrest.owner()
    beside = cluster.parents[1].glob("*/main")
    if owner is None or owner == here or owner not in map(identifier, beside):
        return False
    pgbackrest.call("stanza-upgrade")
    return True


def identifier(cluster: Path) -> int | None:
    """A cluster's system identifier; None for a folder that is none.

    It is the first field of pg_control (src/include/catalog/pg_control.h), in the machine's order.
    """
    try:
        with (cluster / "global" / "pg_control").open("rb") as file:
            (number,) = struct.unpack("=Q", file.read(8))
    except (OSError, struct.error):
        return None
    return int(number)
