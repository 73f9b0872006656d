"""What all droplets share ends whole and is only called ready when it answers."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lab import services
from lab.process import Identity

SLEEPER = (sys.executable, "-c", "import time; time.sleep(60)")


def test_what_a_service_forked_while_it_was_stopped_is_ended_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    children = [subprocess.Popen(SLEEPER) for _ in range(2)]
    waves = [[Identity.of(child.pid)] for child in children]
    monkeypatch.setattr(services, "live", lambda _: waves.pop(0) if waves else [])
    services.stop(SLEEPER, tmp_path / "identity")
    assert [child.wait(10) for child in children] == [-9, -9]


def test_a_port_held_by_another_is_not_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "GATEWAY", "127.0.0.77")
    with socket.create_server(("127.0.0.77", 53)):
        assert not services.resolves()
