"""The HTTP Observatory: what the headers of the site's first page forbid a browser."""

from __future__ import annotations

import json
from pathlib import Path

from audits import programs
from audits.errors import AuditError
from audits.model import Audit, Check, Report
from audits.subject import Subject

SCORE = 130


def run(subject: Subject) -> Report:
    """The score, and each test that the site does not pass. The site is found at the host."""
    target = subject.target
    environment = {"SITE_NAME": target.domain, "SITE_ADDRESS": target.host}
    if target.root_certificate:
        trust = str(Path(target.root_certificate).expanduser())
        environment["NODE_EXTRA_CA_CERTS"] = trust
    resolve = subject.root / programs.LOCKS / "observatory" / "resolve.cjs"
    scan = programs.observatory(subject.root) / "src" / "scan.js"
    done = programs.run(("node", "--require", resolve, scan, target.domain), environment)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        found = {"error": (done.stderr.strip() or "nothing").splitlines()[-1]}
    if "scan" not in found:
        raise AuditError(f"The Observatory could not scan {target.domain}: {found['error']}")
    score, grade = found["scan"]["score"], found["scan"]["grade"]
    low = f"{score}, and {SCORE} is the bar" if score < SCORE else None
    tests = tuple(
        Check(name, test["expectation"], None if test["pass"] else test["result"])
        for name, test in found["tests"].items()
    )
    return Report(f"{score} {grade}", (Check("score", f"grade {grade}", low), *tests))


AUDIT = Audit(
    name="headers",
    reference="MDN HTTP Observatory",
    bar=f"{SCORE} or more",
    run=run,
    slow=True,
    needs="npm",
)
