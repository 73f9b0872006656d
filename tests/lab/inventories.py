"""Inventories of the tests' environments, made from the local one's group variables."""

from pathlib import Path

import yaml

from lab import paths
from tests.lab.site import ROOT, Site

LOCAL_FACTS = yaml.safe_load((ROOT / "inventory" / "group_vars" / "local.yml").read_text())
# No droplet of the lab has this address.
NOBODY = "10.87.0.250"


def write_for_tests(site: Site) -> None:
    """Write the site's inventory into its clone, and beside it some with one fault each."""
    name = site.name
    good: dict[str, object] = {
        "ansible_host": site.address,
        "environment_name": name,
        "site_domains": [site.domain, f"www.{site.domain}"],
    }
    # A key that is not the droplet's: the lab's own login key.
    other_key = " ".join(Path(f"{paths.SSH_KEY}.pub").read_text().split()[:2])
    known_hosts = site.clone / "tests" / "changed_known_hosts"
    known_hosts.write_text(f"{site.address} {other_key}\n")
    nothing_known = site.clone / "tests" / "no_known_hosts"
    nothing_known.touch()
    # A connection that another run keeps open would let this one in without looking at a key.
    alone = {**good, "ansible_control_path": "none"}
    environments = {
        name: hosts(name, good),
        "unreachable": hosts(name, {**good, "ansible_host": NOBODY}),
        "wrong-user": hosts(name, {**good, "site_deploy_user": "stranger"}),
        "unknown-key": hosts(name, {**alone, "site_known_hosts": str(nothing_known)}),
        "changed-key": hosts(name, {**alone, "site_known_hosts": str(known_hosts)}),
        "bad-domain": hosts(name, {**good, "site_domains": ["https://library.example.org/"]}),
        "no-email": hosts(name, without(LOCAL_FACTS | good, "site_acme_email"), group="elsewhere"),
        "debug": hosts(name, {**good, "app_config_vars": {"DJANGO_DEBUG": "true"}}),
        "no-group": {"local": {"hosts": {name: good}}},
    }
    for environment, content in environments.items():
        text = f"---\n{yaml.safe_dump(content)}"
        (site.clone / "inventory" / f"{environment}.yml").write_text(text)


def with_own_facts(site: Site, environment: str) -> dict[str, str]:
    """Files of an environment for the same droplet, with facts of its own, as people have them."""
    children = yaml.safe_load((site.clone / "inventory" / f"{site.name}.yml").read_text())
    hosts = yaml.safe_dump({environment: {"children": children}})
    facts = "# This environment's own facts.\napp_outbound: []\n"
    return {
        f"inventory/{environment}.yml": f"---\n{hosts}",
        f"inventory/group_vars/{environment}.yml": f"---\n{facts}",
    }


def without(facts: dict[str, object], name: str) -> dict[str, object]:
    return {key: value for key, value in facts.items() if key != name}


def hosts(name: str, facts: dict[str, object], group: str = "local") -> dict[str, object]:
    """One droplet in both groups; its own facts win over those of the group `local`."""
    groups = {"app": {"hosts": {name: facts}}, "db": {"hosts": {name: None}}}
    return {group: {"children": groups}}
