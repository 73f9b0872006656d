"""ssh-audit: the algorithms that the SSH server offers, held against a policy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from audits.errors import AuditError
from audits.model import Audit, Check, Report
from audits.subject import Subject

POLICY = "Hardened Debian 12"
# Its third version demands a key exchange by a name that OpenSSH has had since 9.9; the second is
# the same without that.
NEWER_EXCHANGE = "sntrup761x25519-sha512"
# No algorithms: by these names a server says that it knows an extension (RFC 8308). Newer servers
# do, and nothing switches it off.
MARKERS = {"ext-info-s"}
SECONDS = 60
# ssh-audit's exit codes: the policy is met, and it is not.
MET, NOT_MET = 0, 3


def run(subject: Subject) -> Report:
    """Ask the server, from outside, for all it offers. It makes about ten connections."""
    known = subject.ask("ssh -Q kex").splitlines()
    policy = f"{POLICY} (version {3 if NEWER_EXCHANGE in known else 2})"
    program = Path(sys.executable).with_name("ssh-audit")
    target = subject.target
    # No flood of connections is needed to read a list.
    argv = (str(program), "--json", "--skip-rate-test", "--port", str(target.port))
    done = subprocess.run(
        (*argv, "--policy", policy, target.host),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=SECONDS,
    )
    if done.returncode not in (MET, NOT_MET):
        said = (done.stdout + done.stderr).strip().splitlines()
        raise AuditError(f"ssh-audit ended with {done.returncode}: {said[-1] if said else ''}")
    return report(policy, json.loads(done.stdout))


def report(policy: str, told: dict[str, Any]) -> Report:
    """A check for each field of the policy that the server differs in."""
    checks = []
    for error in told["errors"]:
        actual = [name for name in error["actual"] if name not in MARKERS]
        if actual != error["expected_required"]:
            wanted = ", ".join(error["expected_required"])
            field = str(error["mismatched_field"])
            checks.append(Check(field, "as the policy", f"{', '.join(actual)}, not {wanted}"))
    figure = f"{policy}: {f'{len(checks)} differ' if checks else 'passed'}"
    return Report(figure, tuple(checks) or (Check("policy", policy),))


AUDIT = Audit(
    name="ssh-audit",
    reference="ssh-audit 3.9",
    bar=f'policy "{POLICY}"',
    run=run,
)
