"""Screens for docs/images/: commands run in a real terminal on the local droplet, drawn as SVG.

`python -m lab.screens` draws all, `python -m lab.screens status` one, on the droplet of bin/demo.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
COLUMNS, ROWS = 110, 60
WAIT_SECONDS = 600
SCREENS = {
    "status": "invoke status",
}
# A picture fetches nothing: the reader's own monospaced font will do.
FONTS = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)


def shown(command: str) -> str:
    """What is on the terminal, colours as ANSI sequences, once the command has ended."""
    tmux = ("tmux", "-L", f"slipway-{os.getpid()}")
    options = ("-x", str(COLUMNS), "-y", str(ROWS))
    keep = ("set-option", "-g", "remain-on-exit", "on", ";")
    prompt = f"printf '\\033[1;32m$\\033[0m %s\\n' {shlex.quote(command)}; {command}"
    bin_ = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}", "TERM": "xterm-256color"}
    subprocess.run(
        (*tmux, *keep, "new-session", "-d", *options, f"sh -c {shlex.quote(prompt)}"),
        cwd=ROOT,
        env=environment,
        check=True,
    )
    try:
        deadline = time.monotonic() + WAIT_SECONDS
        ask = (*tmux, "display-message", "-p", "#{pane_dead}")
        while subprocess.run(ask, capture_output=True, text=True).stdout.strip() != "1":
            if time.monotonic() > deadline:
                raise TimeoutError(f"{command} did not end within {WAIT_SECONDS} s")
            time.sleep(0.5)
        taken = subprocess.run(
            (*tmux, "capture-pane", "-e", "-p"), capture_output=True, text=True, check=True
        ).stdout
    finally:
        subprocess.run((*tmux, "kill-server"), stderr=subprocess.DEVNULL)
    lines = taken.rstrip().splitlines()
    # tmux's own last line says that the program has ended.
    return "\n".join(line for line in lines if "Pane is dead" not in line).rstrip()


def drawn(screen: str, title: str) -> str:
    """An SVG of a screen."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(screen))
    return FONTS.sub("", console.export_svg(title=title)).replace("Fira Code", "ui-monospace")


def main(names: list[str]) -> None:
    for name in names or SCREENS:
        (IMAGES / f"{name}.svg").write_text(drawn(shown(SCREENS[name]), SCREENS[name]))
        print(f"docs/images/{name}.svg")


if __name__ == "__main__":
    main(sys.argv[1:])
