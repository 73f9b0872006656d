"""A visitor over HTTP/3, by aioquic: Debian 13's curl loses answers of any server."""

from __future__ import annotations

import asyncio

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent

from lab import paths
from tests.lab.site import Site

TIMEOUT = 5.0


class _Visitor(QuicConnectionProtocol):
    """One connection; `ask` gives the status of a page."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        self._http = H3Connection(self._quic)
        self._asked: dict[int, asyncio.Future[int]] = {}

    async def ask(self, domain: str, path: str) -> int:
        stream = self._quic.get_next_available_stream_id()
        self._asked[stream] = asyncio.get_running_loop().create_future()
        headers = {":method": "GET", ":scheme": "https", ":authority": domain, ":path": path}
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._http.send_headers(stream, encoded, end_stream=True)
        self.transmit()
        return await asyncio.wait_for(self._asked[stream], TIMEOUT)

    def quic_event_received(self, event: QuicEvent) -> None:
        for said in self._http.handle_event(event):
            if isinstance(said, HeadersReceived):
                self._asked[said.stream_id].set_result(int(dict(said.headers)[b":status"]))


def statuses(site: Site, path: str, connections: int) -> list[int]:
    """What as many visitors get one after the other, each by a connection of its own.

    Raises:
        TimeoutError, ConnectionError: one got nothing, or did not trust the certificate.
    """

    async def visit() -> int:
        trusting = QuicConfiguration(alpn_protocols=H3_ALPN, server_name=site.domain)
        trusting.load_verify_locations(str(paths.ACME_ROOT))
        async with asyncio.timeout(2 * TIMEOUT):
            where = (site.address, 443)
            async with connect(*where, configuration=trusting, create_protocol=_Visitor) as visitor:
                assert isinstance(visitor, _Visitor)
                return await visitor.ask(site.domain, path)

    async def visit_all() -> list[int]:
        return [await visit() for _ in range(connections)]

    return asyncio.run(visit_all())
