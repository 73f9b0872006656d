"""Three sites on one droplet: what they are, and how they are made."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from typing import Any

import yaml

from tests.lab.faults.visitors import Visitors
from tests.lab.site import PREFIX, Done, Site

NAME = f"{PREFIX}testsites"
# Facts of the droplet, which all three share; and of each site.
HARBOUR = {"base_reboot_time": "04:30", "postgres_max_connections": 90}
OWN_PROJECT = {"site_project": ".", "site_extra_packages": ["gunicorn", "psycopg[binary]"]}
FACTS: dict[str, dict[str, Any]] = {
    "library": {},
    "shop": {
        "site_deploy_user": "deploy-shop",
        "site_processes": {"worker": 1},
        "site_addons": ["redis"],
        **OWN_PROJECT,
    },
    "plain": {
        "site_deploy_user": "deploy-plain",
        "site_ready_path": "",
        "site_pages": ["/admin/login/"],
        "postgres_connection_limit": 7,
        "app_memory_max_mb": 512,
        **OWN_PROJECT,
    },
}
APPS = tuple(FACTS)


@dataclass(frozen=True)
class Tenant(Site):
    """One of the sites of the droplet; ``name`` is its environment and its app."""

    @property
    def domain(self) -> str:
        return f"{self.name}.{NAME}.slipway.test"

    @property
    def deploy_user(self) -> str:
        return str(FACTS[self.name].get("site_deploy_user", "deploy"))

    def inside(self, line: str) -> Done:
        """A line of shell as the app, behind the walls of its web unit."""
        manage = f"sudo -n /usr/local/sbin/{self.name}-manage --run sh -c {shlex.quote(line)}"
        return self.ssh(manage, user=self.deploy_user)


def write_inventory(site: Site, name: str, facts: dict[str, Any]) -> None:
    """The two files of an environment on the droplet, as the README shows them."""
    host = f"web-{name}"
    groups = {"app": {"hosts": {host: {"ansible_host": site.address}}}, "db": {"hosts": {host: {}}}}
    hosts = {
        name: {"children": groups},
        "harbour": {"children": {name: {}}},
        "local": {"children": {"harbour": {}}},
    }
    inventory = site.clone / "inventory"
    (inventory / f"{name}.yml").write_text(f"---\n{yaml.safe_dump(hosts)}")
    (inventory / "group_vars" / f"{name}.yml").write_text(f"---\n{yaml.safe_dump(facts)}")


@dataclass(frozen=True)
class Harbour:
    """The droplet with its three sites, and what the runs that made them said."""

    site: Site
    tenants: dict[str, Tenant]
    runs: list[tuple[str, Done]]
    # Library's visitors while the other two were made.
    history: list[Any]


def made(site: Site, tenants: dict[str, Tenant]) -> Harbour:
    runs: list[tuple[str, Done]] = []

    def play(app: str) -> None:
        done = tenants[app].play(log=f"{NAME}-{app}-{len(runs)}")
        assert done.code == 0, done
        runs.append((app, done))

    def deploy(app: str) -> None:
        done = tenants[app].invoke("deploy")
        assert done.code == 0, done

    play("library")
    deploy("library")
    with Visitors(tenants["library"], "/healthz") as visitors:
        for app in ("shop", "plain"):
            play(app)
            deploy(app)
        for app in (*APPS, "library"):
            play(app)
    return Harbour(site, tenants, runs, visitors.history)


def job_is_done(shop: Tenant, number: int, seconds: float = 20) -> None:
    """A page puts a job, and the worker's answer comes out of the cache."""
    assert shop.get(f"/put?number={number}").body == "put"
    until = time.monotonic() + seconds
    while (told := shop.get("/done").body) != str(2 * number):
        assert time.monotonic() < until, told
        time.sleep(0.2)
