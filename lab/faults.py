"""Faults for tests: a droplet that is cut off."""

from collections.abc import Iterator
from contextlib import contextmanager

from lab import droplets, network
from lab.run import run


def cut(name: str) -> None:
    """Pull the droplet's wire: packets vanish both ways, and nobody is told."""
    run("ip", "link", "set", network.host_end(droplets.get(name).address), "nomaster")


def restore(name: str) -> None:
    """Put the wire back."""
    droplets.reconnect(droplets.get(name))


@contextmanager
def cut_off(name: str) -> Iterator[None]:
    """The droplet has no network while the block runs."""
    cut(name)
    try:
        yield
    finally:
        restore(name)
