"""Lynis, the auditor of Unix systems: its hardening index, and no warning."""

from __future__ import annotations

import re

from audits.model import Audit, Check, Report
from audits.subject import Subject
from audits.unpacked import unpacked

INDEX = 85

# Its report is what it found; its log and its screen are for people.
RUN = """
set -e
cd {root}/tree/usr/share/lynis
cp ../../sbin/lynis .
./lynis audit system --quiet --no-colors --profile {root}/tree/etc/lynis/default.prf \\
  --plugindir {root}/tree/etc/lynis/plugins --logfile {root}/log --report-file {root}/report >&2
cat {root}/report
"""


def read(report: str) -> Report:
    """What a report of Lynis says: its index, and a check for each test that warns."""
    found = re.search(r"^hardening_index=(\d+)$", report, re.MULTILINE)
    index = int(found[1]) if found else 0
    problem = f"the index is {index}, and {INDEX} is asked" if index < INDEX else None
    checks = [Check("hardening_index", f"hardening index {index}", problem)]
    for line in re.findall(r"^warning\[\]=(.*)$", report, re.MULTILINE):
        test, text, *details = line.split("|")
        more = ", ".join(detail for detail in details if detail not in ("", "-"))
        checks.append(Check(test, text, more or "Lynis warns of it"))
    return Report(f"index {index}, {len(checks) - 1} warnings", tuple(checks))


def run(subject: Subject) -> Report:
    """Two or three minutes."""
    with unpacked(subject, data=("lynis",)) as root:
        return read(subject.ask(RUN.format(root=root)))


AUDIT = Audit(
    name="lynis",
    reference="Lynis, all tests",
    bar=f"index {INDEX} or more, no warning",
    run=run,
    slow=True,
)
