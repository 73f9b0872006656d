"""The dev-sec baselines, control by control: one module each."""

from audits.baselines.baseline import Baseline, Control

BASELINES: tuple[Baseline, ...] = ()

__all__ = ["BASELINES", "Baseline", "Control"]
