"""What the audits of SSH make of what they are told."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from audits import ssh
from audits.baselines.ssh import BASELINE
from audits.subject import Subject

POLICY = "Hardened Debian 12 (version 3)"
EXCHANGES = ["curve25519-sha256", "kex-strict-s-v00@openssh.com"]
# The baseline's ids: sshd-26 was taken out of it.
IDS = {f"sshd-{n:02}" for n in range(1, 49) if n != 26} | {f"ssh-{n:02}" for n in range(1, 22)}

STRICT = {
    "sshd -T": "maxauthtries 4\nallowtcpforwarding no\nkexalgorithms curve25519-sha256,weak\n",
    "ssh -V 2>&1": "OpenSSH_9.2p1 Debian-2, OpenSSL 3.0",
}


class Host:
    """Answers commands as a host would, and counts them."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers, self.asked = answers, 0

    def run(self, command: str) -> Any:
        self.asked += 1
        return SimpleNamespace(rc=0, stdout=self.answers[command], stderr="")


def differing(actual: list[str]) -> dict[str, Any]:
    error = {"mismatched_field": "Key exchanges", "actual": actual, "expected_required": EXCHANGES}
    told: dict[str, Any] = json.loads(json.dumps({"passed": False, "errors": [error]}))
    return told


def problems(host: Host) -> dict[str, str | None]:
    subject = Subject(host, SimpleNamespace(port=22), Path())  # type: ignore[arg-type]
    return {
        control.id: control.check(subject).problem
        for control in BASELINE.controls
        if control.id in {"sshd-02", "sshd-10", "sshd-19", "sshd-39"}
    }


def test_the_baseline_is_whole_and_every_id_is_there_once() -> None:
    ids = [control.id for control in BASELINE.controls]
    assert len(ids) == len(set(ids))
    assert set(ids) == IDS


def test_a_control_says_what_is_wrong_and_the_host_is_asked_once() -> None:
    host = Host(STRICT)
    assert problems(host) == {
        "sshd-02": "kexalgorithms has weak",
        "sshd-10": None,
        "sshd-19": "maxauthtries is 4, not 1 to 2",
        "sshd-39": None,
    }
    assert host.asked == 2


def test_an_extension_s_marker_is_no_algorithm() -> None:
    marked = ssh.report(POLICY, differing([EXCHANGES[0], "ext-info-s", EXCHANGES[1]]))
    assert [check.problem for check in marked.checks] == [None]
    assert marked.figure == f"{POLICY}: passed"


def test_an_algorithm_beyond_the_policy_is_a_problem() -> None:
    found = ssh.report(POLICY, differing([*EXCHANGES, "diffie-hellman-group1-sha1"]))
    (check,) = found.checks
    assert check.control == "Key exchanges"
    assert check.problem
    assert "diffie-hellman-group1-sha1" in check.problem
