"""The droplet that the faults happen to, and the work tree that deploys to it."""

import re
from pathlib import Path

import yaml

from tests.lab.inventories import hosts
from tests.lab.preparations import new_site
from tests.lab.site import PREFIX, Site

NAME = f"{PREFIX}faults13"
# A config var whose value must turn up nowhere but in the site's own environment.
CANARY = "canary-0f3c9a7be1d84c52"
# What is written wrong elsewhere.
AWKWARD = "\"' $HOME ${PATH} `id` %i %% # ; \\ \\n a=b\nsecond line\n\tünï ☃ "
# Shorter than the defaults, or the matrix would mostly be waiting.
SECONDS = {"gate_seconds": 20, "bake_seconds": 2}


def faults_site(clone: Path) -> Site:
    """A new droplet, provisioned; its inventory is inventory/faults13.yml of the clone."""
    site = new_site(NAME, "trixie", clone)
    facts: dict[str, object] = {
        "ansible_host": site.address,
        "environment_name": NAME,
        "site_domains": [site.domain],
        "app_config_vars": {"CANARY": CANARY, "AWKWARD": AWKWARD},
    }
    inventory = clone / "inventory" / f"{NAME}.yml"
    inventory.write_text(f"---\n{yaml.safe_dump(hosts(NAME, facts))}")
    shared = clone / "inventory" / "group_vars" / "all.yml"
    text = shared.read_text()
    for key, seconds in SECONDS.items():
        text, found = re.subn(rf"^(  {key}:) \d+$", rf"\1 {seconds}", text, flags=re.MULTILINE)
        assert found == 1, f"{key} in {shared}"
    shared.write_text(text)
    site.commit({}, "Less waiting")
    done = site.play(log=f"{NAME}-provision")
    assert done.code == 0, done
    return site
