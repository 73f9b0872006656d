"""invoke config.rotate: a new secret key, and everybody stays logged in."""

import json
import shlex

import pytest

from tests.lab.faults.conftest import NewRow
from tests.lab.faults.inside import APP, LAYOUT
from tests.lab.site import Site

pytestmark = pytest.mark.slow

# A session as a log-in makes it; prints its cookie.
LOG_IN = """
from importlib import import_module
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
user, _ = User.objects.get_or_create(username="reader")
session = import_module(settings.SESSION_ENGINE).SessionStore()
session[SESSION_KEY] = str(user.pk)
session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.save()
print("COOKIE", session.session_key)
"""
READ = """
import json, re, sys
names = ("DJANGO_SECRET_KEY", "DJANGO_SECRET_KEY_FALLBACKS")
values = dict(line.rstrip().split("=", 1) for line in open(sys.argv[1]) if line.startswith(names))
print(json.dumps([values.get(name, "").strip('"') for name in names]))
"""


def keys(site: Site, release: str) -> list[str]:
    """The secret key that a release is bound to, and the older one that counts beside it."""
    path = f"/etc/{APP}/releases/{release}.env"
    found: list[str] = json.loads(site.ask(f"python3 -c {shlex.quote(READ)} {path}"))
    return found


def logged_in(site: Site, cookie: str) -> bool:
    """Whether a page for members is shown; else it leads to the log-in."""
    return site.get("/loans/mine/", Cookie=f"sessionid={cookie}").status == 200


def test_a_session_outlives_the_rotation(site: Site, row: NewRow) -> None:
    row("Secrets", "`invoke config.rotate`, then a rollback, then `--leaked`", "a session", "A E")
    said = site.ask(f"{APP}-manage shell -c {shlex.quote(LOG_IN)}")
    cookie = said.split("COOKIE ")[1].split()[0]
    assert logged_in(site, cookie)
    before = site.release()
    old, _ = keys(site, before)

    done = site.invoke("config.rotate")
    assert done.code == 0, done
    after = site.release()
    new, fallback = keys(site, after)
    assert after != before
    assert (new != old, fallback) == (True, old)
    assert (
        json.loads(site.ask(f"cat {LAYOUT.release(after)}/release.json"))["artifact"]
        == (json.loads(site.ask(f"cat {LAYOUT.release(before)}/release.json"))["artifact"])
    )
    assert logged_in(site, cookie)

    # The older release has its own key still.
    assert site.invoke("rollback").code == 0
    assert site.release() == before
    # Newer config vars wait, so another rotation would lose the key in between.
    refused = site.invoke("config.rotate")
    assert refused.code == 2, refused
    assert "invoke deploy --revision" in refused.output
    assert site.invoke("deploy").code == 0

    leaked = site.invoke("config.rotate", "--leaked")
    assert leaked.code == 0, leaked
    newest, none = keys(site, site.release())
    assert newest not in (old, new)
    assert none == ""
    assert not logged_in(site, cookie)

    for secret in (old, new, newest):
        assert secret not in done.output + leaked.output + refused.output
        assert secret not in site.ask("journalctl --no-pager --output=cat")
        search = f"grep --recursive --files-with-matches -e {secret} {LAYOUT.root} /var/log /tmp"
        assert site.ask(f"{search} || :") == ""
