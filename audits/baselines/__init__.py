"""The dev-sec baselines, control by control: one module each."""

from audits.baselines import linux, nginx, postgres, ssh
from audits.baselines.baseline import Baseline, Control

BASELINES: tuple[Baseline, ...] = (
    linux.BASELINE,
    ssh.BASELINE,
    nginx.BASELINE,
    postgres.BASELINE,
)

__all__ = ["BASELINES", "Baseline", "Control"]
