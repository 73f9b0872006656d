"""gixy: mistakes in Nginx's configuration, as Nginx itself reads it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from audits import programs
from audits.errors import AuditError
from audits.model import Audit, Check, Report
from audits.subject import Subject


def run(subject: Subject) -> Report:
    """Every finding in the whole configuration of the host, includes and all."""
    gixy = programs.python_tool(subject.root, "gixy")
    with tempfile.TemporaryDirectory() as folder:
        rendered = Path(folder) / "nginx.conf"
        rendered.write_text(subject.ask("nginx -T 2>/dev/null"))
        done = programs.run((gixy, "--format", "json", rendered))
    try:
        findings = json.loads(done.stdout)
    except ValueError:
        said = (done.stderr.strip() or "nothing").splitlines()[-1]
        raise AuditError(f"gixy could not read the configuration of Nginx: {said}") from None
    checks = tuple(
        Check(finding["plugin"], finding["summary"], finding["reason"] or finding["summary"])
        for finding in findings
    )
    return Report(f"{len(checks)} findings", checks)


AUDIT = Audit(
    name="gixy",
    reference="gixy-ng",
    bar="0 findings",
    run=run,
)
