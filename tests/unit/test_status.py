"""What is not well, each with the next command, and the screen that says so."""

from typing import Any

import pytest
from rich.console import Console as Terminal

from deploy.cli import status as screen
from deploy.host.status import problems

WELL: dict[str, Any] = {
    "app": "locallibrary",
    "environment": "production",
    "host": "web1",
    "url": "https://library.example.org/",
    "trouble": None,
    "current": {
        "id": "20261123T090246-53f3a06",
        "subject": "Let readers renew",
        "since": "2026-11-23T09:03:00+00:00",
        "by": "ada@desk",
    },
    "expected": ["web", "worker"],
    "deploying": None,
    "maintenance": None,
    "processes": [
        {
            "process": name,
            "release": "20261123T090246-53f3a06",
            "live": True,
            "state": "active/running",
            "uptime": 61,
            "memory": 50_000_000,
            "cpu": 1.0,
            "restarts": 0,
        }
        for name in ("web", "worker")
    ],
    "failed_units": [],
    "certificate": {
        "self_signed": False,
        "days": 66,
        "not_after": "2027-01-30T00:00:00+00:00",
        "issuer": "C=US, O=Let's Encrypt, CN=E7",
        "due": False,
    },
    "restore_point": None,
    "backups": {
        "postgresql": {"label": "20261126-021500F", "at": "2026-11-26T02:15:09+00:00"},
        "files": {"id": "f79080d9", "at": "2026-11-26T02:15:12+00:00"},
        "count": 5,
        "place": "/var/backups/slipway",
        "proof": None,
        "archiving": {"last": "2026-11-26T02:15:10+00:00"},
        "problems": [],
        "looked_at": "2999-01-01T00:00:00+00:00",
    },
    "disk": {"free": 50, "total": 100},
    "memory": {"available": 50, "total": 100},
    "database": {"bytes": 8_000_000},
    "addons": [],
    "security_updates": [],
    "reboot_pending": False,
}


REDIS = {"name": "redis", "state": "active/running", "up": True, "memory": 5_000_000}


def changed(**facts: Any) -> dict[str, Any]:
    return {**WELL, **facts}


def stopped(name: str, state: str) -> dict[str, Any]:
    """One of the processes in another state."""
    return changed(
        processes=[
            {**process, **({"state": state} if process["process"] == name else {})}
            for process in WELL["processes"]
        ]
    )


def certificate(**facts: Any) -> dict[str, Any]:
    return changed(certificate={**WELL["certificate"], **facts})


def backups(**facts: Any) -> dict[str, Any]:
    return changed(backups={**WELL["backups"], **facts})


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (changed(current=None, expected=[]), "nothing is live. Run: invoke deploy"),
        (changed(trouble="https://x/ answers 502"), "https://x/ answers 502. Look: invoke logs"),
        (stopped("web", "failed/failed"), "web does not run. Look: invoke logs --process web"),
        (stopped("worker", "activating/auto-restart"), "worker does not run. Look: invoke logs"),
        (changed(expected=["web", "worker", "worker.2"]), "worker.2 does not run. Look: invoke"),
        (changed(failed_units=["certbot.service"]), "certbot.service failed. Look: journalctl -u"),
        (changed(certificate=None), "Nginx shows no certificate. Run: ansible-playbook"),
        (certificate(self_signed=True), "the certificate is self-signed"),
        (certificate(days=-1), "the certificate expired on 2027-01-30. Run: ansible-playbook"),
        (certificate(due=True), "the certificate should have been renewed. Run"),
        (changed(disk={"free": 9, "total": 100}), "less than 10% of the disk is left"),
        (changed(memory={"available": 4, "total": 100}), "less than 5% of the memory is left"),
        (changed(database={"bytes": None, "problem": "refused"}), "does not answer: refused"),
        (changed(backups=None), "there are no backups. Run: ansible-playbook site.yml"),
        (backups(problems=["the repository is full"]), "the repository is full"),
        (backups(looked_at="2026-11-01T00:00:00+00:00"), "nobody has looked at the backups since"),
        (
            changed(addons=[{**REDIS, "up": False}]),
            "redis is active/running. Run: ansible-playbook",
        ),
    ],
)
def test_what_is_not_well_comes_with_the_next_command(found: dict[str, Any], told: str) -> None:
    (problem,) = problems(found)
    assert told in problem


def test_a_site_that_is_well_has_no_problems() -> None:
    assert list(problems(WELL)) == []
    # Updates come by themselves, and maintenance is somebody's decision.
    waiting = changed(security_updates=["libssl3 1 -> 2"], reboot_pending=True)
    assert list(problems(waiting)) == []
    assert list(problems(changed(addons=[REDIS]))) == []


def test_a_unit_of_the_backups_is_not_told_twice() -> None:
    """They say themselves why they failed."""
    failed = ["slipway-backup@full.service"]
    assert list(problems({**backups(problems=["no room"]), "failed_units": failed})) == ["no room"]


def shown(found: dict[str, Any]) -> str:
    terminal = Terminal(width=200, force_terminal=False)
    with terminal.capture() as capture:
        terminal.print(screen._screen({**found, "problems": list(problems(found))}))
    return capture.get()


def test_the_screen_begins_with_the_answer() -> None:
    assert shown(WELL).splitlines()[0] == "well"
    lines = shown(changed(failed_units=["a.service", "b.service"])).splitlines()
    assert lines[0] == "not well: a.service failed. Look: journalctl -u a.service -n 50"
    assert lines[1].startswith("not well: b.service")


def test_the_screen_says_who_deployed_and_what_waits() -> None:
    told = shown(changed(security_updates=["libssl3 1 -> 2"], reboot_pending=True))
    assert "Let readers renew" in told
    assert "by ada@desk" in told
    assert "redis" not in told
    assert "active/running, 5.0 MB" in shown(changed(addons=[REDIS]))
    assert "1 security update waits: invoke patch, and a reboot: invoke patch --reboot" in told


def test_the_screen_says_how_old_the_backups_and_their_proof_are() -> None:
    assert "ago, in /var/backups/slipway" in shown(WELL)
    assert "none yet: invoke backup.verify" in shown(WELL)
    proof = {
        "label": "20261126-021500F",
        "at": "2026-11-26T04:15:00+00:00",
        "ok": True,
        "tables": 16,
        "seconds": 9.1,
    }
    assert "20261126-021500F restored" in shown(backups(proof=proof))
    assert "16 tables in 9 s" in shown(backups(proof=proof))
    assert "failed" in shown(backups(proof={**proof, "ok": False}))
    assert "none yet" in shown(changed(backups=None))
