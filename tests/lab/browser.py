"""Chromium that believes in the lab's certificate authority and finds the lab's names.

Certificates are verified for real: the lab's ACME root is put into an NSS database of the browser's
own, in a home folder made for it, and nothing else is trusted besides what Chromium ships with.

    python -m tests.lab.browser library.slipway.test 10.87.0.10 demo.png
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from lab import paths


@contextmanager
def browser(domain: str, address: str) -> Iterator[Browser]:
    """A headless Chromium for which domain, and every name below it, is at address."""
    chromium = shutil.which("chromium")
    if not chromium:
        raise FileNotFoundError("Chromium is not installed. As root: apt-get install chromium")
    with tempfile.TemporaryDirectory(prefix="slipway-browser-") as home, sync_playwright() as play:
        trust(Path(home), paths.ACME_ROOT)
        started = play.chromium.launch(
            executable_path=chromium,
            args=[f"--host-resolver-rules=MAP {domain} {address},MAP *.{domain} {address}"],
            env={**os.environ, "HOME": home},
        )
        try:
            yield started
        finally:
            started.close()


def trust(home: Path, root: Path) -> None:
    """Make the NSS database that Chromium reads in this home, with root as an authority for TLS."""
    database = home / ".pki" / "nssdb"
    database.mkdir(parents=True)
    certutil = ("certutil", "-d", f"sql:{database}")
    subprocess.run([*certutil, "-N", "--empty-password"], check=True)
    add = [*certutil, "-A", "-n", "Slipway lab", "-t", "C,,", "-i", str(root)]
    subprocess.run(add, check=True)


def main(domain: str, address: str, picture: str) -> None:
    """Save a picture of the site's first page."""
    Path(picture).parent.mkdir(parents=True, exist_ok=True)
    with browser(domain, address) as chromium:
        page = chromium.new_page(viewport={"width": 1280, "height": 1000}, locale="en-GB")
        page.goto(f"https://{domain}/", wait_until="networkidle")
        page.screenshot(path=picture)
        print(f"{page.title()} at {page.url}")


if __name__ == "__main__":
    main(*sys.argv[1:])
