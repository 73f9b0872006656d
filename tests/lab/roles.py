"""Some of the roles alone, on a provisioned droplet: what they do, without a whole run."""

import json
from collections.abc import Sequence
from typing import Any

import yaml

from tests.lab.site import Done, Site, run

FACTS = ["!all", "!min", "distribution", "dns", "hardware", "virtual"]


def play(site: Site, roles: Sequence[str], *options: str, **changes: Any) -> Done:
    """Run the roles with facts changed; these go by a file, as secrets may be among them."""
    playbook, facts = site.clone / "some-roles.yml", site.clone / "some-facts.json"
    playbook.write_text(
        yaml.safe_dump([{"hosts": "app", "gather_subset": FACTS, "roles": list(roles)}])
    )
    facts.write_text(json.dumps(changes))
    try:
        return run(
            *("ansible-playbook", "-i", f"inventory/{site.name}.yml", playbook.name),
            *("--extra-vars", f"@{facts.name}", *options),
            cwd=site.clone,
        )
    finally:
        playbook.unlink()
        facts.unlink()
