"""The table of faults and results that a run leaves: artifacts/faults.md, and docs/faults.md.

Every run writes the former. The latter is written when the whole matrix ran, and only when rows or
results are other than those it tells: a run must not change a tracked file for nothing. A run of
some of the matrix, asked for by its files, renews the rows that it ran.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

HEADING = "# What Slipway survives"
COLUMNS = ("fault", "what is done, and what must hold", "invariants", "result", "figures")
INVARIANTS = """\
| | invariant |
|---|---|
| A | every request is answered by exactly the old or the new release, none is lost |
| B | `current` leads to a complete release, and every file of it has its digest |
| C | the next deploy works, with no step by hand: no stale lock, no half release, nothing leaked |
| D | every row that a visitor was told of is in the database |
| E | a secret shows in no argument, journal, output or artifact |
| F | the exit code is not 0, the last line says cause and next command, the audit log has it |
"""


@dataclass
class Row:
    """One fault. ``figures`` are told as they are; ``result`` is pytest's word."""

    group: str
    fault: str
    done: str
    invariants: str
    result: str = "not run"
    figures: dict[str, str] = field(default_factory=dict)

    @property
    def cells(self) -> tuple[str, ...]:
        figures = ", ".join(f"{name} {value}".strip() for name, value in self.figures.items())
        return (self.fault, self.done, self.invariants, self.result, figures)

    @property
    def outcome(self) -> tuple[str, ...]:
        """What must not change from run to run."""
        return self.cells[:4]


def render(rows: Sequence[Row], setting: str, date: str) -> str:
    """The page; the same rows give the same text."""
    failed = [row for row in rows if row.result != "passed"]
    total = f"{len(rows) - len(failed)} of {len(rows)} rows passed"
    lines = [
        HEADING,
        "",
        "Written by `bin/test --full`. Each row is a test under `tests/lab/faults/` that does this "
        "to a real droplet, as it last ran. While it is done visitors come 20 times a second (40 "
        "where nothing goes wrong), each in an open loop with a connection of its own, to a page "
        "that reads and writes the database; every answer is recorded with the release that gave "
        "it.",
        "",
        f"{date}, {setting}: {total}.",
        "",
        INVARIANTS,
    ]
    for group in dict.fromkeys(row.group for row in rows):
        lines += [f"## {group}", _line(COLUMNS), "|" + "---|" * len(COLUMNS)]
        lines += [_line(row.cells) for row in rows if row.group == group]
        lines.append("")
    return "\n".join(lines)


def renewed(told: Sequence[Row], ran: Sequence[Row]) -> list[Row]:
    """The rows of a page, with those that ran since as they are now, and new ones at the end."""
    now = {(row.group, row.fault): row for row in ran}
    kept = [now.pop((row.group, row.fault), row) for row in told]
    return [*kept, *now.values()]


def read(page: Path) -> list[Row]:
    """The rows that a page tells; none without a page."""
    rows, group = [], ""
    for line in page.read_text().splitlines() if page.exists() else ():
        if line.startswith("## "):
            group = line.removeprefix("## ")
        cells = tuple(cell.strip() for cell in line.strip("|").split(" | "))
        if line.startswith("| ") and len(cells) == len(COLUMNS) and cells != COLUMNS:
            fault, done, invariants, result, figures = cells
            rows.append(Row(group, fault, done, invariants, result, {"": figures}))
    return rows


def write(rows: Sequence[Row], setting: str, page: Path) -> None:
    """Write the page."""
    page.parent.mkdir(exist_ok=True)
    page.write_text(render(rows, setting, f"{datetime.now(UTC):%Y-%m-%d}"))


def tells_the_same(rows: Sequence[Row], page: Path) -> bool:
    """Whether the page has these very rows with these results, whatever their figures."""
    return [row.outcome for row in read(page)] == [row.outcome for row in rows]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
