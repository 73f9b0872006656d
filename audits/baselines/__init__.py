"""The dev-sec baselines, control by control: one module each."""

from audits.baselines.baseline import Baseline, Control
from audits.baselines.ssh import SSH

BASELINES: tuple[Baseline, ...] = (SSH,)

__all__ = ["BASELINES", "Baseline", "Control"]
