"""The conversation's incoming side, over real pipes."""

import io
import json
import os
import threading
import time
from collections.abc import Iterator

import pytest

from deploy.host import wire as module
from deploy.host.errors import BackedOut
from deploy.host.wire import CANCEL, LENGTH_BYTES, Payload, Wire


class Controller:
    """The other end of a wire."""

    def __init__(self) -> None:
        reading, self._writing = os.pipe()
        self._reading = reading
        self.wire = Wire(reading)

    def send(self, data: bytes) -> None:
        os.write(self._writing, data)

    def say(self, **facts: object) -> None:
        self.send(json.dumps(facts).encode() + b"\n")

    def leave(self) -> None:
        os.close(self._writing)
        self._writing = -1

    def close(self) -> None:
        if self._writing >= 0:
            os.close(self._writing)
        os.close(self._reading)


def pieces(*data: bytes) -> bytes:
    """A payload as it goes over the wire."""
    return b"".join(len(one).to_bytes(LENGTH_BYTES, "big") + one for one in (*data, b""))


@pytest.fixture
def controller() -> Iterator[Controller]:
    made = Controller()
    yield made
    made.close()


def test_a_payload_ends_where_the_next_command_begins(controller: Controller) -> None:
    payload = os.urandom(9000) + b'\n{"do": "no command"}\ncancel\n'
    controller.say(do="push")
    controller.send(pieces(payload[:5000], payload[5000:]))
    controller.say(do="activate")
    controller.leave()
    assert controller.wire.command() == {"do": "push"}
    file = io.BufferedReader(Payload(controller.wire))
    assert file.read(100) + file.read() == payload
    assert file.read(1) == b""
    assert controller.wire.command() == {"do": "activate"}
    assert controller.wire.command() is None


def test_a_command_may_come_in_pieces(controller: Controller) -> None:
    def speak() -> None:
        for piece in (b'{"do": ', b'"status"', b'}\n{"do": "ver', b'ify"}\n'):
            controller.send(piece)
            time.sleep(0.01)
        controller.leave()

    speaker = threading.Thread(target=speak)
    speaker.start()
    assert controller.wire.command() == {"do": "status"}
    assert controller.wire.command() == {"do": "verify"}
    assert controller.wire.command() is None
    speaker.join()


def test_a_command_cut_off_is_none(controller: Controller) -> None:
    controller.send(b'{"do": "activate"')
    controller.leave()
    assert controller.wire.command() is None


def test_cancel_is_heard_while_an_operation_runs(controller: Controller) -> None:
    with controller.wire.watch():
        controller.send(CANCEL)
        assert controller.wire.cancel.wait(5)
    controller.say(do="status")
    assert controller.wire.command() == {"do": "status"}


def test_what_is_no_cancel_waits_for_the_operation_to_end(controller: Controller) -> None:
    with controller.wire.watch():
        controller.send(b'{"do": "status"}\ncan')
        time.sleep(0.05)
        controller.send(b"cel\n")
        assert controller.wire.cancel.wait(5)
    assert controller.wire.command() == {"do": "status"}


def test_a_controller_that_goes_away_cancels_nothing(controller: Controller) -> None:
    with controller.wire.watch():
        controller.leave()
        time.sleep(0.05)
    assert not controller.wire.cancel.is_set()
    assert controller.wire.command() is None


def test_what_is_only_shown_ends_when_the_controller_goes_away(controller: Controller) -> None:
    with controller.wire.watch(gone_too=True):
        assert not controller.wire.cancel.wait(0.05)
        controller.leave()
        assert controller.wire.cancel.wait(5)


def test_showing_ends_with_the_operation_too(controller: Controller) -> None:
    with controller.wire.watch(gone_too=True):
        pass
    assert not controller.wire.cancel.is_set()


def test_a_cancel_that_comes_between_two_operations_is_not_lost(controller: Controller) -> None:
    with controller.wire.watch():
        pass
    controller.send(CANCEL)
    controller.say(do="activate")
    assert controller.wire.command() == {"do": "activate"}
    assert controller.wire.cancel.is_set()


def test_an_operation_that_ends_does_not_wait_for_the_controller(controller: Controller) -> None:
    started = time.monotonic()
    for _ in range(5):
        with controller.wire.watch():
            pass
    assert time.monotonic() - started < 0.25


def test_silence_inside_a_payload_backs_out(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENCE_SECONDS", 0.1)
    controller.send((8).to_bytes(LENGTH_BYTES, "big") + b"half")
    file = Payload(controller.wire)
    assert file.read(8) == b"half"
    with pytest.raises(BackedOut, match="Run: invoke deploy"):
        file.read(4)


def test_a_controller_that_goes_away_inside_a_payload_backs_out(controller: Controller) -> None:
    controller.send((8).to_bytes(LENGTH_BYTES, "big") + b"half")
    controller.leave()
    file = io.BufferedReader(Payload(controller.wire))
    with pytest.raises(BackedOut):
        file.read()
