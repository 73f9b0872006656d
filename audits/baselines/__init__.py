"""The dev-sec baselines, control by control: one module each."""

from audits.baselines import nginx, ssh
from audits.baselines.baseline import Baseline, Control

BASELINES: tuple[Baseline, ...] = (ssh.BASELINE, nginx.BASELINE)

__all__ = ["BASELINES", "Baseline", "Control"]
