"""docs/waivers.yml: what the host does not pass, and why that is right."""

from __future__ import annotations

from pathlib import Path

import yaml

from audits.errors import AuditError
from audits.model import Waiver

PAGE = "docs/waivers.yml"


def read(root: Path) -> list[Waiver]:
    """The waivers of the repository at ``root``.

    Raises:
        AuditError: one lacks its reference, its control or its reason, or is there twice.
    """
    entries = yaml.safe_load((root / PAGE).read_text()) or []
    waivers = []
    for number, entry in enumerate(entries, 1):
        words = {
            key: str(entry.get(key) or "").strip() for key in ("reference", "control", "reason")
        }
        missing = ", ".join(key for key, text in words.items() if not text)
        if missing:
            raise AuditError(f"Waiver {number} of {PAGE} has no {missing}. Write it there")
        waivers.append(Waiver(**words))
    seen = set()
    for waiver in waivers:
        if (waiver.reference, waiver.control) in seen:
            raise AuditError(f"{waiver.reference} {waiver.control} is in {PAGE} twice. Keep one")
        seen.add((waiver.reference, waiver.control))
    return waivers
