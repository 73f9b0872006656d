"""What was measured, as files: the page can be written again without measuring."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from benchmarks.model import Machine, Result

FOLDER = Path(__file__).parent / "results"


def write(result: Result, folder: Path = FOLDER) -> Path:
    """Replace what was known of that benchmark, and of no other."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{result.benchmark}.json"
    path.write_text(json.dumps(asdict(result), indent=1) + "\n")
    return path


def read(name: str, folder: Path = FOLDER) -> Result | None:
    """What was measured last; None when that never happened."""
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    values = json.loads(path.read_text())
    machine = values.pop("machine")
    machine["load"] = tuple(machine["load"])
    return Result(machine=Machine(**machine), **values)
