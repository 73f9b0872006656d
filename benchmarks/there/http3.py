"""A load over HTTP/3 by aioquic, as no client of Debian's makes one.

    python3 http3.py ADDRESS PORT HOST PATH CONNECTIONS SECONDS

Each visitor asks again as soon as it is answered. Prints how many were answered well, and how
many not.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import time
from typing import Any

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent

ANSWER_SECONDS = 10
# Of a connection. Nginx's own number, after which it says goodbye; aioquic does not tell of that.
REQUESTS = 1000


class Visitor(QuicConnectionProtocol):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.http = H3Connection(self._quic)
        self.status = 0
        self.answered: asyncio.Future[int]

    async def ask(self, host: str, path: str) -> int:
        self.answered = asyncio.get_running_loop().create_future()
        stream = self._quic.get_next_available_stream_id()
        headers = {":method": "GET", ":scheme": "https", ":authority": host, ":path": path,
                   "accept-encoding": "gzip"}  # fmt: skip
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        self.http.send_headers(stream, encoded, end_stream=True)
        self.transmit()
        return await asyncio.wait_for(self.answered, ANSWER_SECONDS)

    def quic_event_received(self, event: QuicEvent) -> None:
        for said in self.http.handle_event(event):
            if isinstance(said, HeadersReceived):
                self.status = int(dict(said.headers)[b":status"])
            if isinstance(said, HeadersReceived | DataReceived) and said.stream_ended:
                self.answered.set_result(self.status)


async def visit(
    address: str, port: int, host: str, path: str, until: float, counts: dict[bool, int]
) -> None:
    trusting = QuicConfiguration(
        alpn_protocols=H3_ALPN, server_name=host, verify_mode=ssl.CERT_NONE
    )
    while time.monotonic() < until:
        made = connect(address, port, configuration=trusting, create_protocol=Visitor)
        async with made as visitor:
            assert isinstance(visitor, Visitor)
            try:
                for _ in range(REQUESTS):
                    counts[await visitor.ask(host, path) == 200] += 1
                    if time.monotonic() >= until:
                        break
            except (TimeoutError, ConnectionError):
                counts[False] += 1


async def main(
    address: str, port: str, host: str, path: str, connections: str, seconds: str
) -> None:
    counts = {True: 0, False: 0}
    until = time.monotonic() + float(seconds)
    async with asyncio.TaskGroup() as group:
        for _ in range(int(connections)):
            group.create_task(visit(address, int(port), host, path, until, counts))
    print(f"{counts[True]} {counts[False]}")


asyncio.run(main(*sys.argv[1:]))
