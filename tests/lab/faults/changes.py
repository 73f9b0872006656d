"""Changes of the application, good and bad, made by commits in the clone."""

import itertools
import time

from tests.lab.site import Site

WSGI = "app/locallibrary/wsgi.py"
URLS = "app/locallibrary/urls.py"
MIGRATIONS = "app/catalog/migrations"
_numbers = itertools.count(int(time.time()))


def good(site: Site) -> str:
    """A new revision that works; returns its short hash."""
    number = next(_numbers)
    return site.commit({"app/CHANGES.txt": f"{number}\n"}, f"Change {number}")


def append(site: Site, path: str, text: str, message: str) -> str:
    """A new revision with a text at the end of a file; returns its short hash."""
    before = (site.clone / path).read_text()
    return site.commit({path: before + text}, message)
