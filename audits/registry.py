"""Every audit, in the order of the table."""

from audits import ssh, units
from audits.baselines import BASELINES
from audits.model import Audit

AUDITS: tuple[Audit, ...] = (*(baseline.audit for baseline in BASELINES), ssh.AUDIT, units.AUDIT)
