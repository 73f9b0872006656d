"""Who is at the other end of ssh, and what is said when nobody is."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.unit.test_inventory import FACTS

# In a process of its own: pytest listens to loggers, and a terminal would show what nobody hears.
CONNECT = """
import sys
from deploy.errors import Refused
from deploy.runner import connected
from deploy.target import parse
facts = {facts!r} | {{"host": "127.0.0.1", "port": int(sys.argv[1])}}
try:
    with connected(parse("web1", facts, "inventory/staging.yml")):
        pass
except Refused as refused:
    print(refused.message)
"""


def said(port: int) -> subprocess.CompletedProcess[str]:
    argv = (sys.executable, "-c", CONNECT.format(facts=FACTS), str(port))
    return subprocess.run(argv, capture_output=True, text=True, check=True)


@pytest.fixture
def rude() -> Iterator[int]:
    """The port of somebody who does not speak ssh."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def answer() -> None:
            caller, _ = server.accept()
            with caller:
                caller.sendall(b"220 mail.example.org ESMTP\r\n")

        threading.Thread(target=answer, daemon=True).start()
        yield server.getsockname()[1]


def test_somebody_who_speaks_no_ssh_is_one_sentence(rude: int) -> None:
    done = said(rude)
    assert done.stderr == ""
    place = f"web1 (deploy@127.0.0.1:{rude}) cannot be reached: "
    assert done.stdout.startswith(f"{place}Error reading SSH protocol banner")


def test_a_closed_port_is_told_in_the_systems_words() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    done = said(port)
    assert done.stderr == ""
    assert "cannot be reached: Connection refused. Is it up, and" in done.stdout
