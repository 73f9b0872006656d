"""The lab's network: one bridge, a namespace and a veth pair per droplet, masquerade."""

import ipaddress
import json
from collections.abc import Collection
from pathlib import Path

from lab import paths
from lab.errors import LabError
from lab.run import run

BRIDGE = "slipway0"
SUBNET = ipaddress.IPv4Network("10.87.0.0/24")
GATEWAY = str(SUBNET[1])
DOMAIN = "slipway.test"
# The demo's droplet keeps this address, so its site's name never moves.
RESERVED = {"library": str(SUBNET[10])}
POOL = tuple(str(address) for address in SUBNET)[11:251]
TABLE = "slipway_lab"

RULES = f"""\
table ip {TABLE}
delete table ip {TABLE}
table ip {TABLE} {{
    chain outbound {{
        type nat hook postrouting priority srcnat
        ip saddr {SUBNET} ip daddr != {SUBNET} masquerade
    }}
    # While dnsmasq is replaced a resolver should wait and ask again, not be told there is none.
    chain patience {{
        type filter hook output priority filter
        oifname {BRIDGE} icmp type destination-unreachable icmp code port-unreachable drop
    }}
}}
"""


def choose_address(name: str, taken: Collection[str]) -> str:
    """The address for a new droplet: its reserved one, or the first free of the pool."""
    if name in RESERVED:
        return RESERVED[name]
    for address in POOL:
        if address not in taken:
            return address
    raise LabError(
        f"All {len(POOL)} addresses of the lab are taken. Run: invoke lab.down --name NAME"
    )


def namespace(name: str) -> str:
    return f"slipway-{name}"


def host_end(address: str) -> str:
    """The veth's name on the host: at most 15 characters, whatever the droplet is called."""
    return f"slip{address.rpartition('.')[2]}"


def mac(address: str) -> str:
    """A locally administered MAC of the address: neighbours' entries outlive a rebuild."""
    return "02:57:" + ":".join(f"{int(part):02x}" for part in address.split("."))


def links() -> dict[str, str]:
    """Interface -> the bridge it is attached to ("" for none)."""
    found = json.loads(run("ip", "-json", "link", "show").stdout or "[]")
    return {link["ifname"]: link.get("master", "") for link in found}


def strangers() -> list[str]:
    """Other interfaces of this host that use the lab's addresses."""
    found = json.loads(run("ip", "-json", "-4", "address", "show").stdout or "[]")
    return [
        link["ifname"]
        for link in found
        for address in link.get("addr_info", [])
        if link.get("ifname") != BRIDGE and ipaddress.ip_address(address["local"]) in SUBNET
    ]


def ensure_bridge() -> None:
    """Bridge, address and masquerade as they must be, whatever was there before."""
    if others := strangers():
        raise LabError(f"{SUBNET}, the lab's network, is already used by {others[0]} on this host.")
    if BRIDGE not in links():
        run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "address", "replace", f"{GATEWAY}/{SUBNET.prefixlen}", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    forwarding("1")
    run("nft", "--file", "-", stdin=RULES)


def forwarding(value: str = "") -> str:
    """Read net.ipv4.ip_forward, or set it."""
    switch = Path("/proc/sys/net/ipv4/ip_forward")
    if value and switch.read_text().strip() != value:
        switch.write_text(value)
    return switch.read_text().strip()


def remove_bridge() -> None:
    if BRIDGE in links():
        run("ip", "link", "delete", BRIDGE)
    run("nft", "delete", "table", "ip", TABLE, warn=True)


def plug(name: str, address: str) -> None:
    """Make the droplet's namespace with its wire to the bridge and its address, anew."""
    unplug(name, address)
    space, wire = namespace(name), host_end(address)
    run("ip", "netns", "add", space)
    run(
        *("ip", "link", "add", wire, "type", "veth"),
        *("peer", "name", "eth0", "address", mac(address), "netns", space),
    )
    run("ip", "link", "set", wire, "master", BRIDGE, "up")
    run(
        *("ip", "-netns", space, "-batch", "-"),
        stdin="link set lo up\n"
        f"address add {address}/{SUBNET.prefixlen} brd + dev eth0\n"
        "link set eth0 up\n"
        f"route add default via {GATEWAY}\n",
    )


def unplug(name: str, address: str) -> None:
    if host_end(address) in links():
        run("ip", "link", "delete", host_end(address))
    if (paths.NETNS / namespace(name)).exists():
        run("ip", "netns", "delete", namespace(name))


def namespaces() -> list[str]:
    """Names of all droplets that have a namespace, also those whose record is lost."""
    if not paths.NETNS.is_dir():
        return []
    prefix = namespace("")
    return sorted(
        path.name.removeprefix(prefix)
        for path in paths.NETNS.iterdir()
        if path.name.startswith(prefix)
    )


def inhabitants(name: str) -> list[int]:
    """Ids of the processes in the droplet's namespace, its PID 1 among them."""
    if not (paths.NETNS / namespace(name)).exists():
        return []
    said = run("ip", "netns", "pids", namespace(name), warn=True).stdout
    return [int(pid) for pid in said.split()]
