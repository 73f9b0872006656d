"""kill -9 while maintenance comes or goes: it is on or off, and whole."""

import json
import shlex

from tests.lab.faults.conftest import NewRow
from tests.lab.faults.inside import APP, LAYOUT, wait_until_free, whole
from tests.lab.faults.invariants import check_after
from tests.lab.faults.visitors import Visitors, describe, lost
from tests.lab.site import Site

# From before Python has started to after the last rename; on a busy machine it is all slower.
EARLIEST, LATEST, STEP = 0.02, 0.6, 0.02
STRIKE = f"""
import json, pathlib, subprocess
folder = pathlib.Path("{LAYOUT.maintenance}")
on = folder / "on"
states = []
delay = {EARLIEST}
while delay < {LATEST}:
    for word in ("on", "off"):
        options = ["--message", str(delay), "--allow", "192.0.2.1"] if word == "on" else []
        argv = ["slipway", "{APP}", "maintenance", word, *options]
        tool = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            tool.wait(delay)
            ended = True
        except subprocess.TimeoutExpired:
            tool.kill()
            tool.wait()
            ended = False
        state = None
        if on.is_symlink():
            state = json.loads((on / "state.json").read_text())
            assert state["message"] in (on / "page.html").read_text()
            assert sorted(path.name for path in (on / "allow").iterdir()) == state["allow"]
        if ended:
            assert (state is not None) is (word == "on")
        states.append([word, ended, state is not None])
    delay += {STEP}
print(json.dumps(states))
"""


def test_maintenance_is_killed_while_it_comes_or_goes(site: Site, row: NewRow) -> None:
    told = row(
        "Maintenance",
        "kill -9 of `slipway APP maintenance on` and `off`, ever later",
        "it is on or off and whole each time, and visitors get the page or the site",
        "A B C D",
    )
    with Visitors(site) as visitors:
        # As the deploy user: killed is the tool, and not who waits for it.
        done = site.ssh(f"python3 -c {shlex.quote(STRIKE)}", user="deploy")
        assert done.code == 0, done
        wait_until_free(site)
        states = json.loads(done.stdout)
        assert {word for word, ended, _ in states if ended} == {"on", "off"}, states
        killed = [word for word, ended, _ in states if not ended]
        assert set(killed) == {"on", "off"}, states
        done = site.invoke("maintenance.off")
        assert done.code == 0, done
        assert site.ask(f"ls -A {LAYOUT.maintenance}") == ""
        whole(site)
        check_after(site, told, visitors)
    apart = lost(visitors.history)
    strange = [one for one in apart if (one.status, one.retry_after) != (503, "300")]
    assert not strange, describe(strange)
    assert apart
    told.figures["killed"] = str(len(killed))
    told.figures["requests"] = str(len(visitors.history))
    told.figures["answered by the page"] = str(len(apart))
