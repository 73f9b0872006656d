"""Visitors: an open loop of requests over HTTPS, each one recorded.

    python -m tests.lab.faults.loader 10.87.0.10 library.slipway.test --seconds 60 --out FILE

Open loop means that requests are sent at their scheduled times whatever became of those before, as
visitors do, and that latency counts from the scheduled time: a site that stands still for a second
is seen standing still by everybody who came in that second, not only by the one who waited.
Every request has a connection of its own, and the certificate is verified. SIGTERM ends it: what
is in flight is waited for. It stops by itself after --seconds, and sends to no other address than
a droplet's of the lab.
"""

import argparse
import asyncio
import contextlib
import ipaddress
import json
import os
import signal
import ssl
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from lab import network, paths

RATE = 40.0
LONGEST_SECONDS = 1800.0
MOST_PER_SECOND = 500.0
REQUEST_SECONDS = 40.0
READY = "ready"


@dataclass(frozen=True)
class Record:
    """One request. ``at`` is the scheduled time (Unix), the other times are seconds.

    ``late`` is how much after its time it was sent (a loader that gets no processor shows here),
    ``seconds`` how long after its scheduled time it was answered. ``status`` is 0 without an
    answer, and ``error`` says why; ``session`` is the session cookie that came with the answer,
    ``retry_after`` the header of that name.
    """

    at: float
    late: float
    seconds: float
    status: int
    release: str
    session: str
    retry_after: str
    error: str
    path: str

    @property
    def good(self) -> bool:
        return self.status == 200 and not self.error and bool(self.release)

    @property
    def answered_at(self) -> float:
        return self.at + self.seconds


@dataclass(frozen=True)
class Aim:
    """Whom to ask for what, how often (requests a second) and how long (seconds).

    ``source`` is the address of this machine to come from, "" for the usual one; ``port`` is for
    sites beside the one of the host's own Nginx site.
    """

    address: str
    host: str
    path: str
    rate: float
    seconds: float
    source: str = ""
    port: int = 443

    def check(self) -> None:
        """Raise ValueError for anything but a bounded load on a droplet of the lab."""
        where = ipaddress.ip_address(self.address)
        if where not in network.SUBNET or self.address == network.GATEWAY:
            raise ValueError(f"{self.address} is no droplet's address ({network.SUBNET})")
        if not (0 < self.rate <= MOST_PER_SECOND and 0 < self.seconds <= LONGEST_SECONDS):
            raise ValueError(
                f"at most {MOST_PER_SECOND:.0f} requests a second for {LONGEST_SECONDS:.0f} s"
            )


async def load(aim: Aim, trust: ssl.SSLContext, out: TextIO, stop: asyncio.Event) -> None:
    """Send the requests; one line of JSON each, as they end."""
    clock = asyncio.get_running_loop()
    begun, begun_at = clock.time(), time.time()
    waiting: set[asyncio.Task[None]] = set()
    for number in range(int(aim.rate * aim.seconds)):
        due = number / aim.rate
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(0.0, begun + due - clock.time()))
        if stop.is_set():
            break
        task = asyncio.create_task(_record(aim, trust, out, begun + due, begun_at + due))
        waiting.add(task)
        task.add_done_callback(waiting.discard)
    await asyncio.gather(*waiting)


async def _record(
    aim: Aim, trust: ssl.SSLContext, out: TextIO, due: float, scheduled_at: float
) -> None:
    clock = asyncio.get_running_loop()
    late = clock.time() - due
    status, headers, error = 0, dict[str, str](), ""
    try:
        async with asyncio.timeout(REQUEST_SECONDS):
            status, headers, error = await _ask(aim, trust)
    except (OSError, asyncio.IncompleteReadError, ValueError) as problem:
        error = repr(problem)
    cookie = headers.get("set-cookie", "")
    session = cookie.partition("sessionid=")[2].partition(";")[0]
    record = Record(
        at=round(scheduled_at, 4),
        late=round(late, 4),
        seconds=round(clock.time() - due, 4),
        status=status,
        release=headers.get("x-release", ""),
        session=session,
        retry_after=headers.get("retry-after", ""),
        error=error,
        path=aim.path,
    )
    out.write(json.dumps(asdict(record)) + "\n")


async def _ask(aim: Aim, trust: ssl.SSLContext) -> tuple[int, dict[str, str], str]:
    """Status, headers (names in small letters), and what is wrong with the body or ""."""
    reader, writer = await asyncio.open_connection(
        aim.address,
        aim.port,
        ssl=trust,
        server_hostname=aim.host,
        local_addr=(aim.source, 0) if aim.source else None,
    )
    try:
        writer.write(
            f"GET {aim.path} HTTP/1.1\r\nHost: {aim.host}\r\n"
            "User-Agent: slipway-load\r\nConnection: close\r\n\r\n".encode()
        )
        answer = await reader.read(-1)
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    if not first.startswith("HTTP/1.1 "):
        return 0, {}, f"broke off after {len(answer)} bytes"
    pairs = (line.partition(": ") for line in lines)
    headers = {name.lower(): value for name, _, value in pairs}
    whole = (
        body.endswith(b"0\r\n\r\n")
        if headers.get("transfer-encoding") == "chunked"
        else len(body) == int(headers.get("content-length", len(body)))
    )
    return int(first.split()[1]), headers, "" if whole else f"cut short at {len(body)} bytes"


def read(path: Path) -> list[Record]:
    """The records so far, in the order of their scheduled times."""
    lines = path.read_text().split("\n")[:-1]
    return sorted((Record(**json.loads(line)) for line in lines), key=lambda record: record.at)


async def run(aim: Aim, root: Path, out: Path) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    trust = ssl.create_default_context(cafile=str(root))
    with out.open("w", buffering=1) as stream:
        print(READY, flush=True)
        await load(aim, trust, stream, stop)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Visitors of a droplet of the lab, recorded.")
    parser.add_argument("address", help="the droplet's own, 10.87.0.x")
    parser.add_argument("host", help="the site's name")
    parser.add_argument("--path", default="/")
    parser.add_argument("--rate", type=float, default=RATE, help="requests a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--source", default="", help="address of this machine to come from")
    parser.add_argument("--port", type=int, default=443)
    parser.add_argument("--root", type=Path, default=paths.ACME_ROOT, help="trusted authority")
    parser.add_argument("--out", type=Path, required=True, help="a line of JSON for each request")
    args = parser.parse_args(argv)
    aim = Aim(args.address, args.host, args.path, args.rate, args.seconds, args.source, args.port)
    try:
        aim.check()
    except ValueError as error:
        parser.error(str(error))
    # The instrument must get its processor on time, or it measures itself.
    with contextlib.suppress(PermissionError):
        os.nice(-10)
    asyncio.run(run(aim, args.root, args.out))


if __name__ == "__main__":
    main(sys.argv[1:])
