"""What somebody of one site might try on another, and whom it is allowed."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from tests.lab.site import Done
from tests.lab.sites.harbour import Tenant

# What must fail for the users of another site, and who does it to show that it can be done. {app}
# and {deploy} are the site's, {me} is the app of whoever tries.
FORBIDDEN = [
    ("ls /srv/{app}", "deploy"),
    ("cat /srv/{app}/current/app/manage.py", "app"),
    ("ls /srv/{app}/media", "app"),
    ("cat /srv/{app}/deploys.jsonl", "deploy"),
    ("ls -R /srv/{app}/static", "deploy"),
    ("touch /srv/{app}/x", "deploy"),
    ("touch /srv/{app}/media/x", "app"),
    ("touch /run/{app}/x", "root"),
    ("ls /home/{deploy}", "deploy"),
    ("cat /etc/slipway/{app}.json", "deploy"),
    ("cat /etc/{app}/config/current", "root"),
    ("ls /etc/{app}/config/", "root"),
    ("cat /etc/{app}/releases/*.env", "root"),
    ("cat /etc/ssl/{app}/live/privkey.pem", "root"),
    ("cat /etc/sudoers.d/{app}-deploy", "root"),
    # sockets: one release's, and the database's
    (
        "python3 -c 'import glob, socket; s = socket.socket(socket.AF_UNIX); "
        's.connect(glob.glob("/run/{app}/*/web.sock")[0])\'',
        "deploy",
    ),
    ("psql -d {app} -c 'SELECT 1'", "app"),
    ("psql -U {app} -d {app} -c 'SELECT 1'", "app"),
    ("psql -U {app} -d {me} -c 'SELECT 1'", "app"),
    # processes and what they wrote
    ("cat /proc/$(pgrep -o -u {app})/environ | grep -q .", "root"),
    ("ls /proc/$(pgrep -o -u {app})/cwd/", "root"),
    ("kill -0 $(pgrep -o -u {app})", "app"),
    ("journalctl --unit='{app}-web@*' --quiet --lines=1 | grep .", "root"),
    # what may be asked of root
    ("sudo -n /usr/local/sbin/{app}-unit list", "deploy"),
    ("sudo -n /usr/local/sbin/{app}-manage check", "deploy"),
    ("slipway {app} releases", "deploy"),
]
# Of the site that has Redis.
FORBIDDEN_REDIS = [
    (
        "python3 -c 'import socket; socket.create_connection((\"{address}\", 6379), 3)'",
        "app",
    ),
    ("ls /var/lib/{app}-redis/", "root"),
    ("cat /run/{app}-redis/users.acl", "root"),
]


def attempts(target: Tenant, me: str) -> list[tuple[str, str]]:
    lines = FORBIDDEN + (FORBIDDEN_REDIS if target.name == "shop" else [])
    address = redis_address(target) if target.name == "shop" else ""
    words = {"{app}": target.name, "{deploy}": target.deploy_user, "{me}": me, "{address}": address}
    found = []
    for line, allowed in lines:
        for word, text in words.items():
            line = line.replace(word, text)
        found.append((line, allowed))
    return found


def redis_address(shop: Tenant) -> str:
    return shop.ask("grep ^bind /etc/shop/redis.conf").split()[1]


def succeeded(lines: list[str], run: Callable[[str], Done]) -> list[str]:
    """Those of the lines of shell that end well, all tried in one go."""
    script = "\n".join(
        f"timeout 10 bash -c {shlex.quote(line)} </dev/null >/dev/null 2>&1 && echo {number}"
        for number, line in enumerate(lines)
    )
    done = run(f"cd /; {script}\necho ENDED")
    assert "ENDED" in done.stdout, done
    return [lines[int(number)] for number in done.stdout.replace("ENDED", "").split()]


def as_user(tenant: Tenant, kind: str) -> Callable[[str], Done]:
    """Runs lines as root, as the deploy user who logs in, or as the app without its walls."""
    users = {"root": "root", "deploy": tenant.deploy_user}
    if kind in users:
        return lambda line: tenant.ssh(line, user=users[kind])
    return lambda line: tenant.ssh(f"runuser -u {tenant.name} -- bash -c {shlex.quote(line)}")
