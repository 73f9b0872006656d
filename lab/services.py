"""What all droplets share: names (dnsmasq) and certificates (Pebble, an ACME server)."""

import json
import socket
import ssl
import struct
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from lab import files, paths
from lab.errors import LabError
from lab.network import DOMAIN, GATEWAY
from lab.process import Identity, live, spawn, tail, wait_for

ACME_PORT = 14000
MANAGEMENT_PORT = 15000
ACME_DIRECTORY = f"https://{GATEWAY}:{ACME_PORT}/dir"

DNS_CONF = paths.RUN / "dnsmasq.conf"
DNS_PID = paths.RUN / "dnsmasq.json"
DNS_LOG = paths.LOGS / "dnsmasq.log"
PEBBLE_CONF = paths.RUN / "pebble.json"
PEBBLE_PID = paths.RUN / "pebble-process.json"
PEBBLE_LOG = paths.LOGS / "pebble.log"
LISTENER_CERTIFICATE = paths.ACME / "listener.pem"
LISTENER_KEY = paths.ACME / "listener.key"

DNSMASQ = ("dnsmasq", "--keep-in-foreground", f"--conf-file={DNS_CONF}", "--log-facility=-")
PEBBLE = ("pebble", "-config", str(PEBBLE_CONF), "-dnsserver", f"{GATEWAY}:53")


def dns_conf(addresses: Mapping[str, str]) -> str:
    """dnsmasq's file: droplet name -> address, with every name below it; the rest to the host's."""
    names = "".join(
        f"address=/{name}.{DOMAIN}/{address}\n" for name, address in sorted(addresses.items())
    )
    return (
        f"listen-address={GATEWAY}\n"
        "bind-interfaces\n"
        "except-interface=lo\n"
        "no-hosts\n"
        # An outage of the host's resolver should end here when it ends there.
        "no-negcache\n"
        f"local=/{DOMAIN}/\n"
        f"{names}"
    )


def ensure_dns(addresses: Mapping[str, str]) -> None:
    """dnsmasq runs and knows exactly these droplets."""
    wanted = dns_conf(addresses)
    if runs(DNS_PID) and files.read(DNS_CONF) == wanted:
        return
    stop_dns()
    files.write(DNS_CONF, wanted)
    process = spawn(DNSMASQ, DNS_LOG, DNS_PID, {})
    wait_for(lambda: fell(process, "dnsmasq", DNS_LOG) or resolves(), 10, "dnsmasq to answer")


def pebble_conf() -> str:
    return json.dumps(
        {
            "pebble": {
                "listenAddress": f"{GATEWAY}:{ACME_PORT}",
                "managementListenAddress": f"{GATEWAY}:{MANAGEMENT_PORT}",
                "certificate": str(LISTENER_CERTIFICATE),
                "privateKey": str(LISTENER_KEY),
                "httpPort": 80,
                "tlsPort": 443,
                "ocspResponderURL": "",
                "externalAccountBindingRequired": False,
                # Seconds. As from Let's Encrypt: Pebble's own default is five years.
                "certificateValidityPeriod": 90 * 86400,
            }
        },
        indent=2,
    )


def ensure_acme(extra: Mapping[str, str] | None = None) -> None:
    """Pebble runs, and acme/root.pem is the root it issues under now.

    `extra` adds to its environment when it is started (its fault switches, PEBBLE_*).
    """
    if not runs(PEBBLE_PID):
        stop_acme()
        # Here, because every task of Invoke would wait for cryptography.
        from lab.listener import make_certificate

        make_certificate()
        files.write(PEBBLE_CONF, pebble_conf())
        # Pebble dawdles before each validation on purpose, up to 15 s, and refuses one nonce in
        # twenty: faults to ask for by `extra`, and not by chance.
        # Each order is proved anew: by itself Pebble believes an earlier proof every other time.
        plain = {
            "PEBBLE_VA_NOSLEEP": "1",
            "PEBBLE_WFE_NONCEREJECT": "0",
            "PEBBLE_AUTHZREUSE": "0",
        }
        process = spawn(PEBBLE, PEBBLE_LOG, PEBBLE_PID, {**plain, **(extra or {})})
        wait_for(
            lambda: listens(MANAGEMENT_PORT) or fell(process, "pebble", PEBBLE_LOG),
            10,
            "Pebble to listen",
        )
    files.write(paths.ACME_ROOT, issuing_root())


def runs(identity: Path) -> bool:
    running = Identity.load(identity)
    return running is not None and running.alive()


def stop(argv: tuple[str, ...], identity: Path) -> None:
    """Stop the service, also one whose identity was lost, and what it forked meanwhile."""
    while found := live(lambda words: words == argv):
        for process in found:
            process.kill()
    identity.unlink(missing_ok=True)


def stop_dns() -> None:
    stop(DNSMASQ, DNS_PID)
    DNS_CONF.unlink(missing_ok=True)


def stop_acme() -> None:
    stop(PEBBLE, PEBBLE_PID)


def listens(port: int) -> bool:
    try:
        with socket.create_connection((GATEWAY, port), timeout=1):
            return True
    except OSError:
        return False


def resolves() -> bool:
    """Whether names are answered over UDP. By TCP dnsmasq would fork, and the child holds the port.

    The question is RFC 1035's: a header with one question, the domain's labels, A, IN.
    """
    labels = b"".join(bytes([len(label)]) + label.encode() for label in DOMAIN.split("."))
    question = struct.pack("!6H", 1, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.2)
        asking.connect((GATEWAY, 53))
        try:
            asking.send(question)
            return bool(asking.recv(512))
        except OSError:
            return False


def fell(process: Identity, name: str, log: Path) -> bool:
    if process.alive():
        return False
    raise LabError(f"{name} ended at once: {tail(log)}")


def issuing_root() -> str:
    """Pebble's root certificate, which it makes anew at each start."""
    context = ssl.create_default_context(cafile=str(paths.ACME_CA))
    opener = urllib.request.build_opener(
        # No proxy of the host's environment stands between the host and its own bridge.
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=context),
    )
    deadline = time.monotonic() + 10
    while True:
        try:
            with opener.open(f"https://{GATEWAY}:{MANAGEMENT_PORT}/roots/0", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError as error:
            if time.monotonic() > deadline:
                raise LabError(
                    f"Pebble does not tell its root certificate: {error}. Its log: {PEBBLE_LOG}"
                ) from None
            time.sleep(0.05)
