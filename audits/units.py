"""systemd-analyze security: how much of the machine the site's units could reach."""

from __future__ import annotations

import re

from audits.model import Audit, Check, Report
from audits.subject import Subject

# With local sockets only; and where the inventory allows outbound connections.
EXPOSURE = 0.5
EXPOSURE_OUTBOUND = 1.5
OVERALL = re.compile(r"Overall exposure level for (\S+): ([\d.]+)")


def run(subject: Subject) -> Report:
    """Exposure of every loaded service of the site's releases: 0 is none, 10 is all."""
    app = subject.target.app
    units = subject.ask(
        f"systemctl list-units --plain --no-legend --state=active '{app}-*@*.service' "
        "| awk '{ print $1 }'"
    ).split()
    if not units:
        return Report("no release runs", skipped="no release is live yet; run: invoke deploy")
    checks = []
    for unit in units:
        said = subject.ask(f"systemd-analyze security --no-pager {unit} | tail -n 1")
        found = OVERALL.search(said)
        figure = float(found[2]) if found else 10.0
        outbound = "AF_INET" in subject.ask(f"systemctl show -P RestrictAddressFamilies {unit}")
        bar = EXPOSURE_OUTBOUND if outbound else EXPOSURE
        problem = f"exposure {figure}, and {bar} is allowed" if figure > bar else None
        # The release's id is left out: a waiver must outlive it.
        checks.append(Check(re.sub(r"@.*", "@", unit), f"exposure {figure}", problem))
    return Report(", ".join(sorted({check.title for check in checks})), tuple(checks))


AUDIT = Audit(
    name="units",
    reference="systemd-analyze security",
    bar=f"exposure at most {EXPOSURE}; {EXPOSURE_OUTBOUND} with app_outbound",
    run=run,
)
