"""Progress on standard error: a spinner while a step runs, one line with its time when done."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

console = Console(stderr=True, highlight=False)


@contextmanager
def step(title: str) -> Iterator[Callable[[str], None]]:
    """Show that title is under way; yields a function that shows a detail beside it."""
    begun = time.monotonic()

    def show(detail: str) -> None:
        status.update(f"{title} [dim]{time.monotonic() - begun:.0f} s  {detail}[/dim]")

    with console.status(title) as status:
        yield show
    console.print(f"[green]✓[/green] {title} [dim]{time.monotonic() - begun:.1f} s[/dim]")
