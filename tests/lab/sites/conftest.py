"""The droplet with three sites, made once for all of these tests."""

from collections.abc import Iterator

import pytest
import yaml

from tests.lab.preparations import claim, new_site, take_down
from tests.lab.projects import JOBS, start_project, write
from tests.lab.sites.harbour import (
    APPS,
    FACTS,
    HARBOUR,
    NAME,
    Harbour,
    Tenant,
    made,
    write_inventory,
)


@pytest.fixture(scope="session")
def harbour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harbour]:
    """Library is made and deployed, then shop and plain beside it, then each playbook once more."""
    claim(NAME)
    try:
        projects = tmp_path_factory.mktemp("projects")
        write(projects / "shop", JOBS)
        start_project(projects / "plain")
        site = new_site(NAME, "trixie", tmp_path_factory.mktemp("clone"))
        (site.clone / "inventory" / "group_vars" / "harbour.yml").write_text(
            yaml.safe_dump(HARBOUR)
        )
        for app, facts in FACTS.items():
            source = {"site_source": str(projects / app)} if app != "library" else {}
            domains = [f"{app}.{NAME}.slipway.test"]
            named = {"environment_name": app, "site_app": app, "site_domains": domains}
            write_inventory(site, app, {**named, **source, **facts})
        site.commit({}, "Three sites")
        tenants = {app: Tenant(app, site.suite, site.address, site.clone) for app in APPS}
        yield made(site, tenants)
    finally:
        take_down(NAME)


@pytest.fixture
def library(harbour: Harbour) -> Tenant:
    return harbour.tenants["library"]


@pytest.fixture
def shop(harbour: Harbour) -> Tenant:
    return harbour.tenants["shop"]
