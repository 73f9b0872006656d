"""testssl.sh: what the site's TLS offers, and every known hole of it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from audits import programs
from audits.errors import AuditError
from audits.model import Audit, Check, Report
from audits.subject import Subject

# What its own table prints as "NOT ok".
NOT_OK = {"MEDIUM", "HIGH", "CRITICAL"}
FATAL = "FATAL"
SECONDS = 900


def run(subject: Subject) -> Report:
    """Every finding; a private authority's root is believed where the inventory names one."""
    target = subject.target
    root = Path(target.root_certificate).expanduser()
    trust = ("--add-ca", root) if target.root_certificate else ()
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "testssl.json"
        done = programs.run(
            (
                *("testssl", "--quiet", "--color", "0", "--warnings", "off", "--ip", target.host),
                *("--jsonfile", found, *trust, f"https://{target.domain}"),
            ),
            seconds=SECONDS,
        )
        findings = json.loads(found.read_text()) if found.exists() else []
    fatal = [finding["finding"] for finding in findings if finding["severity"] == FATAL]
    # A scan that broke off has few findings, all of them fine.
    if fatal or not any(finding["id"] == "cert_notAfter" for finding in findings):
        said = fatal or done.stderr.strip().splitlines()[-1:] or ["nothing"]
        raise AuditError(f"testssl got no answer from {target.domain} at {target.host}: {said[0]}")
    checks = tuple(
        Check(
            finding["id"],
            finding["severity"],
            finding["finding"] if finding["severity"] in NOT_OK else None,
        )
        for finding in findings
    )
    bad = sum(1 for check in checks if check.problem)
    return Report(f'{bad} of {len(checks)} "NOT ok"', checks)


AUDIT = Audit(
    name="testssl",
    reference="testssl.sh",
    bar='no "NOT ok"',
    run=run,
    slow=True,
    needs="testssl",
)
