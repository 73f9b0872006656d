"""manage.py check --deploy: what Django itself says of the live release, on the droplet."""

from __future__ import annotations

import re

from audits.errors import AuditError
from audits.model import Audit, Check, Report
from audits.subject import Subject

# As Django prints one: "?: (security.W004) You have not set a value ...".
FINDING = re.compile(r"^(?P<where>.*?): \((?P<id>[\w.]+)\) (?P<said>.+)$", re.MULTILINE)


def run(subject: Subject) -> Report:
    """Warnings and errors with the release's own code, config vars and database."""
    target = subject.target
    if subject.host.run(f"test -e {target.root}/current").rc:
        return Report("no release runs", skipped="no release is live yet; run: invoke deploy")
    command = f"{target.app}-manage check --deploy --fail-level WARNING --no-color"
    done = subject.host.run(f"/usr/local/sbin/{command} 2>&1")
    checks = read(str(done.stdout).replace("\r", ""))
    if done.rc and not checks:
        said = (str(done.stdout).strip() or "nothing").splitlines()[-1]
        raise AuditError(f"`{command}` ended with {done.rc} on {target.name}: {said}")
    return Report(f"{len(checks)} findings", checks)


def read(said: str) -> tuple[Check, ...]:
    """What `manage.py check` printed; a check is named by its id."""
    return tuple(Check(m["id"], m["where"], m["said"]) for m in FINDING.finditer(said))


AUDIT = Audit(
    name="django",
    reference="manage.py check --deploy --fail-level WARNING",
    bar="0 findings",
    run=run,
)
