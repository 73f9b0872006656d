#!/usr/bin/python
"""Enable, start and stop units of systemd, any number in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: host_units
short_description: Enable, start and stop units of systemd, any number in one call
description:
  - What M(ansible.builtin.systemd_service) does for one unit, for a list of them. That module needs
    a call of the host for each, and systemd reads all units again each time that one is enabled.
  - What is not said of a unit stays as it is.
options:
  units:
    description: Enabled and disabled first, then stopped and started, all of a kind at once.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Its name with its type, such as C(web.service).
        type: str
        required: true
      enabled:
        description: Whether it starts at boot.
        type: bool
      state:
        description: C(reloaded) and C(restarted) start one that does not run.
        type: str
        choices: [started, stopped, reloaded, restarted]
  daemon_reload:
    description:
      - Whether systemd reads the files of all units again before that. It does so by itself when
        that of a unit of the list was changed.
    type: bool
    default: false
attributes:
  check_mode:
    description: Says what would change. A unit that is not there yet is no error.
    support: full
  diff_mode:
    description: The words for systemctl.
    support: full
author: The Slipway project
"""

EXAMPLES = r"""
- name: Run them now and after each boot
  host_units:
    units:
      - {name: web.service, enabled: true, state: started}
      - {name: web-report.timer, enabled: true, state: started}
"""

RETURN = r"""
done:
  description: By verb of systemctl, the units it was called for.
  type: dict
  returned: always
started:
  description: The units that did not run before and were started.
  type: list
  returned: always
"""

# What systemctl is-enabled says of a unit for which there is nothing to enable any more.
ENABLED = {"alias", "enabled", "enabled-runtime", "generated", "indirect", "static", "transient"}
RUNS = {"active", "activating", "reloading", "refreshing"}
RELOADING = ("enable", "disable")
VERBS = (*RELOADING, "stop", "start", "restart", "reload")


class Found(NamedTuple):
    """One unit as it is; ``old`` is one whose file was changed since systemd read it."""

    there: bool
    runs: bool
    enabled: bool
    old: bool


def read(shown: str) -> list[Found]:
    """What `systemctl show` says of some units, in their order."""
    found = []
    for block in shown.strip().split("\n\n"):
        said = dict(line.partition("=")[::2] for line in block.splitlines())
        found.append(
            Found(
                there=said.get("LoadState") not in ("not-found", "masked"),
                runs=said.get("ActiveState") in RUNS,
                enabled=said.get("UnitFileState") in ENABLED,
                old=said.get("NeedDaemonReload") == "yes",
            )
        )
    return found


def plan(wanted: Sequence[dict[str, Any]], found: Sequence[Found]) -> dict[str, list[str]]:
    """By verb, in the order of their calls, the units to call systemctl for."""
    verbs: dict[str, list[str]] = {verb: [] for verb in VERBS}
    for unit, now in zip(wanted, found, strict=True):
        if unit["enabled"] is not None and unit["enabled"] != now.enabled:
            verbs["enable" if unit["enabled"] else "disable"].append(unit["name"])
        verb = {
            None: None,
            "started": None if now.runs else "start",
            "stopped": "stop" if now.runs else None,
            "restarted": "restart",
            "reloaded": "reload" if now.runs else "start",
        }[unit["state"]]
        if verb:
            verbs[verb].append(unit["name"])
    return {verb: names for verb, names in verbs.items() if names}


def main() -> None:
    unit = {
        "name": {"type": "str", "required": True},
        "enabled": {"type": "bool"},
        "state": {"type": "str", "choices": ["started", "stopped", "reloaded", "restarted"]},
    }
    module = AnsibleModule(
        argument_spec={
            "units": {"type": "list", "elements": "dict", "required": True, "options": unit},
            "daemon_reload": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )

    def systemctl(*words: str) -> str:
        code, out, err = module.run_command(["systemctl", *words])
        if code != 0:
            module.fail_json(msg=f"systemctl {' '.join(words)}: {(err or out).strip()}")
        return str(out)

    units = module.params["units"]
    names = [unit["name"] for unit in units]
    properties = "--property=LoadState,ActiveState,UnitFileState,NeedDaemonReload"
    found = read(systemctl("show", properties, "--", *names))
    reload = module.params["daemon_reload"] or any(now.old for now in found)
    done: dict[str, list[str]] = {}
    if reload and not module.check_mode:
        # Enabling them makes systemd read all units again as well.
        done = {verb: some for verb, some in plan(units, found).items() if verb in RELOADING}
        for verb, some in done.items():
            systemctl(verb, "--", *some)
        if not done:
            systemctl("daemon-reload")
        found = read(systemctl("show", properties, "--", *names))
    left = plan(units, found)
    done = done | left
    if not module.check_mode:
        missing = [name for name, now in zip(names, found, strict=True) if not now.there]
        if missing:
            module.fail_json(msg=f"systemd knows no {', '.join(missing)}, or it is masked.")
        for verb, some in left.items():
            systemctl(verb, "--", *some)
    running = {name for name, now in zip(names, found, strict=True) if now.runs}
    begun = [name for verb in ("start", "restart") for name in done.get(verb, [])]
    module.exit_json(
        changed=bool(done),
        done=done,
        started=[name for name in begun if name not in running],
        diff={"prepared": "".join(f"{verb} {' '.join(some)}\n" for verb, some in done.items())},
    )


if __name__ == "__main__":
    main()
