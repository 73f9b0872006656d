"""The part of the controller that goes to the droplet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

TOOL = "host"


def git_push_program(modules: Sequence[str], source: str, target: str) -> list[dict[str, str]]:
    """What the module host_files takes: folders first, then files.

    Args:
        modules: names in the folder ``source``; the release tool below it goes along whole.
        target: the folder on the droplet.
    """
    root, there = Path(source), Path(target)
    files = [root / f"{name}.py" for name in modules] + sorted((root / TOOL).rglob("*.py"))
    folders = sorted({file.parent for file in files})
    return [{"path": str(there / folder.relative_to(root))} for folder in folders] + [
        {"path": str(there / file.relative_to(root)), "content": file.read_text()} for file in files
    ]


class FilterModule:
    """Filters of this role."""

    def filters(self) -> dict[str, Any]:
        return {"git_push_program": git_push_program}
