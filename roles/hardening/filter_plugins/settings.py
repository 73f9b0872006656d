"""Settings of a file that has no drop-in folder, changed in place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def with_settings(text: str, settings: Mapping[str, Any], separator: str) -> str:
    """``text`` with each setting said once: where it stood first, or at the end.

    A line that is a comment stays; ``separator`` stands between name and value.
    """
    left = {name: f"{name}{separator}{value}" for name, value in settings.items()}
    lines = []
    for line in text.splitlines():
        said = re.match(r"\s*([\w-]+)", line)
        if not said or said[1] not in settings:
            lines.append(line)
        elif said[1] in left:
            lines.append(left.pop(said[1]))
    return "\n".join([*lines, *left.values()]) + "\n"


class FilterModule:
    """Filters of this role."""

    def filters(self) -> dict[str, Any]:
        return {"with_settings": with_settings}
