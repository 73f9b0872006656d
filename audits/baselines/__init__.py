"""The dev-sec baselines, control by control: one module each."""

from audits.baselines import linux, postgres
from audits.baselines.baseline import Baseline, Control
from audits.baselines.ssh import SSH

BASELINES: tuple[Baseline, ...] = (linux.BASELINE, SSH, postgres.BASELINE)

__all__ = ["BASELINES", "Baseline", "Control"]
