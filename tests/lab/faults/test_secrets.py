"""A secret of the site is in its environment, and nowhere else."""

import base64
import shlex

import pytest

from tests.lab.faults import changes
from tests.lab.faults.changes import WSGI
from tests.lab.faults.conftest import NewRow
from tests.lab.faults.controller import Controller
from tests.lab.faults.droplet import AWKWARD, CANARY, NAME
from tests.lab.faults.inside import APP, LAYOUT
from tests.lab.faults.test_releases import ON_THE_DROPLET, RAISE
from tests.lab.site import Site, run

pytestmark = pytest.mark.slow

# Every argument of every process, as fast as it can be read, while deploys run.
WATCH = """
import glob, sys, time
last = time.monotonic() + 120
while time.monotonic() < last:
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            words = open(path, "rb").read()
        except OSError:
            continue
        if sys.argv[1][::-1].encode() in words:
            print("seen in", path, words, flush=True)
"""


def test_no_secret_shows(site: Site, row: NewRow) -> None:
    row(
        "Secrets",
        "a config var holds a canary",
        "a deploy, a failed deploy and a rollback; arguments, journal, output, releases and "
        "the builder's folder are searched for it",
        "E",
    )
    # Backwards, or the watcher would see itself.
    backwards = CANARY[::-1]
    watch = f"python3 -c {shlex.quote(WATCH)} {backwards}"
    # By itself systemd tells the journal the whole command, with what is looked for there.
    unit = "--unit=faults-watch --description=Watcher"
    site.ask(f"systemd-run --quiet --collect {unit} sh -c {shlex.quote(watch)}")
    said = []
    try:
        changes.good(site)
        with Controller(site, "deploy") as controller:
            said.append(controller.done())
        good = site.git("rev-parse", "HEAD")
        changes.append(site, WSGI, ON_THE_DROPLET + RAISE, "Broken")
        said.append(site.invoke("deploy"))
        site.git("reset", "--quiet", "--hard", good)
        said += [site.invoke("rollback"), site.invoke("status"), site.invoke("releases")]
        # As talkative as Ansible gets, and with a difference to show.
        touched = site.ssh(f"echo '# touched' >> /etc/{APP}/gunicorn.conf.py")
        said += [
            touched,
            site.play("-vvv", "--diff", "-e", "unchanged_skip=false", log=f"{NAME}-talkative"),
        ]
    finally:
        site.ssh("systemctl stop faults-watch")
    assert [done.code for done in said] == [0, 3, 0, 0, 0, 0, 0], said
    assert CANARY not in "".join(done.output for done in said)
    assert "seen in" not in site.ask("journalctl --no-pager --unit=faults-watch --output=cat")
    assert CANARY not in site.ask("journalctl --no-pager --output=cat")
    # Releases, the audit log and uploads; the logs of Nginx and PostgreSQL; what Ansible left.
    places = f"{LAYOUT.root} /var/log /var/tmp /tmp /root /home /run/systemd/transient"
    found = site.ask(f"grep --recursive --files-with-matches {CANARY} {places} 2>/dev/null || :")
    assert found == ""
    # The artifacts, and every revision; the inventory of the test is the one place that has it.
    built = run("grep", "--recursive", "--files-with-matches", CANARY, ".slipway", cwd=site.clone)
    assert built.stdout == "", built
    assert site.git("grep", "--files-with-matches", CANARY, "HEAD", "--", ".").splitlines() == [
        f"HEAD:inventory/{NAME}.yml",
        "HEAD:tests/lab/faults/droplet.py",
    ]
    # The processes that need it do have it.
    release = site.release()
    assert CANARY in site.ask(f"cat /etc/{APP}/releases/{release}.env")


def test_a_value_of_any_kind_arrives_exactly(site: Site, row: NewRow) -> None:
    row(
        "Secrets",
        "a config var holds quotes, `$`, `%`, `#`, a line end and Unicode",
        "the processes of the site are asked for it, the web unit's and a manage command's",
        "E",
    )
    pid = site.ask(f"systemctl show -P MainPID {APP}-web@{site.release()}.service")
    environ = base64.b64decode(site.ask(f"base64 --wrap=0 /proc/{pid}/environ"))
    assert f"AWKWARD={AWKWARD}" in environ.decode().split("\0")
    told = site.ask(f"{APP}-manage shell -c 'import os; print(ascii(os.environ[\"AWKWARD\"]))'")
    assert ascii(AWKWARD) in told.splitlines()
