"""The droplet's state as pyinfra would hold it: the files, packages and services of the roles."""

import json
import os
from pathlib import Path

from pyinfra.operations import apt, files, systemd

folder = Path(os.environ["BENCH_STATE"])
state = json.loads((folder / "state.json").read_text())

apt.packages(name="Packages", packages=state["packages"])
for path, (user, group, mode) in state["files"].items():
    source = str(folder / "files" / path.lstrip("/"))
    files.put(name=path, src=source, dest=path, user=user, group=group, mode=mode)
for service in state["services"]:
    systemd.service(name=service, service=service, running=True, enabled=True)
