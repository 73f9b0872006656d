"""A TCP proxy that makes a near droplet a far one.

    python -m benchmarks.delay 10.87.0.10 22 --rtt 0.04

prints the port of this machine that it listens on, and goes on until it is ended. The kernel could
delay packets by itself (netem), but that needs a module that containers do not have. The handshake
costs a round trip, and each direction is half of one late; the bandwidth is whatever there is.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys

CHUNK = 1 << 16


class Delay:
    """Connections to ``host``, ``rtt`` seconds of round trip away."""

    def __init__(self, host: str, port: int, rtt: float) -> None:
        self._host, self._port, self._rtt = host, port, rtt

    async def serve(self) -> asyncio.Server:
        """A server on a free port of the loopback."""
        return await asyncio.start_server(self._connect, "127.0.0.1", 0)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self._rtt)
        try:
            there, back = await asyncio.open_connection(self._host, self._port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        for end in (back, writer):
            end.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hand on what comes, half a round trip late, and then that no more comes."""
        clock = asyncio.get_running_loop()
        late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def receive() -> None:
            data = b"-"
            while data:
                try:
                    data = await reader.read(CHUNK)
                except OSError:
                    data = b""
                late.put_nowait((clock.time() + self._rtt / 2, data))

        receiving = asyncio.create_task(receive())
        with contextlib.suppress(OSError):
            while True:
                due, data = await late.get()
                await asyncio.sleep(due - clock.time())
                if not data:
                    break
                writer.write(data)
                await writer.drain()
            # The other direction may still have something to say.
            writer.write_eof()
        await receiving


async def run(host: str, port: int, rtt: float) -> None:
    server = await Delay(host, port, rtt).serve()
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="A TCP proxy that makes a droplet a far one.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--rtt", type=float, required=True, help="round trip, in seconds")
    args = parser.parse_args(argv)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(args.host, args.port, args.rtt))


if __name__ == "__main__":
    main(sys.argv[1:])
