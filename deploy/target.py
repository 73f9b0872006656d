"""Where a deploy goes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from deploy.errors import Refused


@dataclass(frozen=True)
class Platform:
    """The droplet's Python ("3.13") and machine ("x86_64"), which a build is for."""

    python: str
    machine: str


@dataclass(frozen=True)
class Target:
    """One host of one environment, as the inventory's ``deploy_target`` tells it.

    ``user`` owns the releases; ``admin`` is whom Ansible logs in as, for the machine itself.
    ``inventory`` is the file it was read from, below the repository.
    ``identity_file`` and ``known_hosts`` are paths, or "" for the user's own; ``root_certificate``
    is that of a private authority, or "". Times are seconds.
    ``accepted_checks`` are ids of Django's security checks whose warnings pass, and why.
    ``procfile`` are lines that count instead of those of the project's Procfile.
    ``addons`` are the services of the site's own, such as "redis".
    ``source``, ``project`` and ``revision`` say what is deployed (:mod:`deploy.sources`).
    ``database`` is what the droplet has for the site: postgresql, or sqlite, a file; with
    ``live_data`` its rows are about real people.
    ``domain`` is the first of ``domains``; the others lead to it. The gate asks for ``pages``, and
    for ``ready_path`` unless it is "".
    The droplet's own part of it is :class:`deploy.host.site.Site`.
    """

    environment: str
    name: str
    app: str
    host: str
    port: int
    user: str
    admin: str
    identity_file: str
    known_hosts: str
    root: str
    domain: str
    domains: tuple[str, ...]
    ready_path: str
    pages: tuple[str, ...]
    database: str
    live_data: bool
    tls_profile: str
    root_certificate: str
    source: str
    project: str
    revision: str
    build_env: Mapping[str, str]
    accepted_checks: Mapping[str, str]
    procfile: Mapping[str, str]
    extra_packages: tuple[str, ...]
    addons: tuple[str, ...]
    inventory: str


def parse(name: str, values: Mapping[str, Any], inventory: str) -> Target:
    """Make a target of the variables for host ``name`` of the file ``inventory``.

    Raises:
        Refused: a key is missing.
    """
    keys = [field.name for field in fields(Target) if field.name not in ("name", "inventory")]
    missing = [key for key in keys if key not in values]
    if missing:
        raise Refused(
            f"deploy_target of {name} lacks {', '.join(missing)}. See inventory/group_vars/all.yml"
        )
    known = {key: values[key] for key in keys}
    sequences = ("domains", "pages", "extra_packages", "addons")
    known |= {key: tuple(known[key]) for key in sequences}
    known["port"] = int(known["port"])
    return Target(name=name, inventory=inventory, **known)
