"""The connection of a controller, cut without anybody being told."""

from collections.abc import Iterator
from contextlib import contextmanager

from lab.run import run
from tests.lab.site import PREFIX, Site

TABLE = f"{PREFIX}slipway_faults"
RULES = """\
table ip {table}
delete table ip {table}
table ip {table} {{
    chain there {{
        type filter hook output priority filter
        ip daddr {address} tcp dport 22 drop
    }}
    chain back {{
        type filter hook input priority filter
        ip saddr {address} tcp sport 22 drop
    }}
}}
"""


def cut_ssh(site: Site) -> None:
    """Packets of SSH vanish both ways, visitors' do not."""
    run("nft", "--file", "-", stdin=RULES.format(table=TABLE, address=site.address))


def restore_ssh() -> None:
    run("nft", "delete", "table", "ip", TABLE, warn=True)


@contextmanager
def ssh_cut(site: Site) -> Iterator[None]:
    """The droplet's SSH cannot be reached while the block runs."""
    cut_ssh(site)
    try:
        yield
    finally:
        restore_ssh()
