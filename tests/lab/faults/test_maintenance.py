"""kill -9 while maintenance comes or goes: it is on or off, and whole."""

import json
import shlex

import pytest

from tests.lab.faults.conftest import NewRow
from tests.lab.faults.inside import APP, LAYOUT, wait_until_free, whole
from tests.lab.faults.invariants import check_after
from tests.lab.faults.visitors import Visitors, describe, lost
from tests.lab.site import Site

pytestmark = pytest.mark.slow

# The release tool, which kills itself before the file or folder that it would touch as its nth.
TOOL = f"""
import os, signal, sys
sys.path.insert(0, os.path.realpath("{LAYOUT.root}/tool"))
from deploy.host.main import main
left = int(sys.argv.pop(1))
def strike(event, facts):
    global left
    if event.startswith(("open", "os.", "shutil.")):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(strike)
sys.exit(main(sys.argv[1:]))
"""
# Kills it at every step of: on, on again, off. Prints how often.
STRIKE = f"""
import json, pathlib, signal, subprocess, sys
on = pathlib.Path("{LAYOUT.maintenance_on}")
def run(left, word):
    options = ["--message", f"Message {{left}}", "--allow", f"192.0.2.{{left}}"]
    given = ["{APP}", "maintenance", word, *(options if word == "on" else [])]
    argv = [sys.executable, "-c", {TOOL!r}, str(left), *given]
    return subprocess.run(argv, capture_output=True, text=True)
killed = []
for before, word in (("off", "on"), ("on", "on"), ("on", "off")):
    left = 0
    while True:
        left += 1
        if on.is_symlink() != (before == "on"):
            assert run(0, before).returncode == 0
        done = run(left, word)
        if on.is_symlink():
            state = json.loads((on / "state.json").read_text())
            assert state["message"] in (on / "page.html").read_text(), (word, left)
            assert [path.name for path in (on / "allow").iterdir()] == state["allow"], (word, left)
        if done.returncode == 0:
            assert on.is_symlink() == (word == "on"), (word, left)
            break
        assert done.returncode == -signal.SIGKILL, done
    killed.append(left - 1)
print(json.dumps(killed))
"""


def test_maintenance_is_killed_while_it_comes_or_goes(site: Site, row: NewRow) -> None:
    told = row(
        "Maintenance",
        "kill -9 of the release tool at each step of on, on again, off",
        "it is on or off and whole each time, and visitors get the page or the site",
        "B C D",
    )
    with Visitors(site, rate=5) as visitors:
        done = site.ssh(f"python3 -c {shlex.quote(STRIKE)}", user="deploy")
        assert done.code == 0, done
        killed = json.loads(done.stdout)
        assert min(killed) > 5, killed
        wait_until_free(site)
        done = site.invoke("maintenance.off")
        assert done.code == 0, done
        assert site.ask(f"ls -A {LAYOUT.maintenance}") == ""
        whole(site)
        check_after(site, told, visitors)
    apart = lost(visitors.history)
    assert apart
    strange = [one for one in apart if (one.status, one.retry_after) != (503, "300")]
    assert not strange, describe(strange)
    told.figures["killed"] = f"{sum(killed)} times"
    told.figures["requests"] = str(len(visitors.history))
    told.figures["answered by the page"] = str(len(apart))
