"""sslyze: what the site's TLS offers, against Mozilla's recommendation."""

from __future__ import annotations

from pathlib import Path

from audits import programs
from audits.errors import AuditError
from audits.model import Audit, Check, Report
from audits.subject import Subject

COMPLIANT = "OK - Compliant"


def run(subject: Subject) -> Report:
    """Every point that sslyze names where the site is not compliant with the target's profile.

    The certificate must be one that browsers believe, or of the inventory's private authority.
    """
    target = subject.target
    sslyze = programs.python_tool(subject.root, "sslyze")
    root = Path(target.root_certificate).expanduser()
    trust = ("--certinfo_ca_file", root) if target.root_certificate else ()
    where = f"{target.domain}:443{{{target.host}}}"
    done = programs.run((sslyze, "--mozilla_config", target.tls_profile, *trust, where))
    _, heading, verdict = done.stdout.partition("COMPLIANCE AGAINST")
    if not heading or target.domain not in verdict:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise AuditError(f"sslyze got no answer from {target.domain} at {target.host}: {said}")
    title = f"Mozilla {target.tls_profile}"
    if COMPLIANT in verdict:
        return Report("compliant", (Check(target.tls_profile, title),))
    points = [line.strip()[2:] for line in verdict.splitlines() if line.strip().startswith("* ")]
    checks = tuple(Check(point.partition(":")[0], title, point) for point in points)
    if not checks:
        raise AuditError(f"sslyze did not judge {target.domain}: {verdict.strip()}")
    return Report(f"{len(checks)} not compliant", checks)


AUDIT = Audit(
    name="tls",
    reference="Mozilla's TLS guideline (sslyze)",
    bar="intermediate, or modern by site_tls_profile",
    run=run,
)
