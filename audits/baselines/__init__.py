"""The dev-sec baselines, control by control: one module each."""

from audits.baselines import nginx
from audits.baselines.baseline import Baseline, Control

BASELINES: tuple[Baseline, ...] = (nginx.BASELINE,)

__all__ = ["BASELINES", "Baseline", "Control"]
