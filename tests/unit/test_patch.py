"""The plan of `invoke patch`, and what it says is left."""

from deploy.cli import patch
from deploy.host.upgrades import Upgrade
from deploy.updates import Updates

TLS = Upgrade("libssl3t64", "3.5.1-1", "3.5.1-1+deb13u1", security=True)
ZONES = Upgrade("tzdata", "2025a-1", "2025b-1", security=False)
FOUND = Updates((TLS, ZONES), ("nginx.service",), "kernel 6.12.48", ())
QUIET = Updates((), (), "", ())


def test_the_plan_names_what_comes_what_stays_and_what_restarts() -> None:
    assert patch._lines(FOUND, FOUND.security, reboot=False) == [
        "upgrade   libssl3t64 3.5.1-1 -> 3.5.1-1+deb13u1",
        "left      1 without security updates; --all-packages takes them",
        "restart   nginx.service: it uses replaced libraries",
        "pending   a reboot for kernel 6.12.48; --reboot does it",
    ]


def test_everything_is_taken_when_asked_and_a_reboot_has_its_reason() -> None:
    lines = patch._lines(FOUND, FOUND.upgrades, reboot=True)
    assert lines[1] == "upgrade   tzdata 2025a-1 -> 2025b-1"
    assert lines[-1] == "reboot    kernel 6.12.48"
    assert patch._lines(QUIET, (), reboot=True) == [
        "no package to upgrade",
        "reboot    because you say so",
    ]


def test_what_is_left_comes_with_the_next_command() -> None:
    assert patch._left(QUIET) == []
    assert patch._left(FOUND) == [
        "nginx.service still uses replaced libraries",
        "A reboot takes the rest in: invoke patch --reboot (kernel 6.12.48)",
    ]
    failed = Updates((), (), "", ("certbot.service",))
    assert patch._left(failed) == ["certbot.service failed. Look: systemctl status certbot.service"]
