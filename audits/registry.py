"""Every audit, in the order of the table."""

from audits import (
    django,
    drift,
    gixy,
    headers,
    lynis,
    openscap,
    packages,
    ssh,
    testssl,
    tls,
    units,
    updates,
)
from audits.baselines import BASELINES
from audits.model import Audit

AUDITS: tuple[Audit, ...] = (
    *(baseline.audit for baseline in BASELINES),
    ssh.AUDIT,
    units.AUDIT,
    tls.AUDIT,
    testssl.AUDIT,
    headers.AUDIT,
    gixy.AUDIT,
    django.AUDIT,
    packages.AUDIT,
    updates.AUDIT,
    drift.AUDIT,
    lynis.AUDIT,
    openscap.AUDIT,
)
