"""Every audit, in the order of the table."""

from audits import django, drift, lynis, openscap, packages, ssh, units, updates
from audits.baselines import BASELINES
from audits.model import Audit

AUDITS: tuple[Audit, ...] = (
    *(baseline.audit for baseline in BASELINES),
    ssh.AUDIT,
    units.AUDIT,
    django.AUDIT,
    packages.AUDIT,
    updates.AUDIT,
    drift.AUDIT,
    lynis.AUDIT,
    openscap.AUDIT,
)
