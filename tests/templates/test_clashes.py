"""A site that cannot live beside the others of its droplet is told each name that is taken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.templates.role_files import load

clashes = load("preflight/filter_plugins/clashes.py")
preflight = load("preflight/filter_plugins/preflight.py")

LIBRARY = {
    "app": "library",
    "user": "deploy",
    "environment": "production",
    "domains": ["library.example.org", "www.library.example.org"],
    "root": "/srv/library",
}
SHOP = {
    "app": "shop",
    "user": "deploy-shop",
    "environment": "shop",
    "domains": ["shop.example.org"],
    "root": "/srv/shop",
}
USERS = """\
root:x:0:0:root:/root:/bin/bash
messagebus:x:100:100::/nonexistent:/usr/sbin/nologin
library:x:990:990::/srv/library:/usr/sbin/nologin
deploy:x:1000:1000::/home/deploy:/bin/bash
"""


def findings(
    changes: dict[str, Any], operators: tuple[str, ...] = (), there: tuple[Any, ...] = (LIBRARY,)
) -> list[str]:
    """What is said of the shop, changed so, on a droplet with these sites."""
    said = f"{USERS}\n{''.join(json.dumps(site, indent=2) for site in there)}"
    site = {**SHOP, **changes}
    return list(clashes.clash_findings(said, site, {name: ["a key"] for name in operators}))


def test_a_site_of_its_own_names() -> None:
    assert findings({}) == []
    assert findings({}, there=()) == []
    assert findings({}, operators=("ada",)) == []


def test_a_site_that_is_there_already_is_itself() -> None:
    assert findings(LIBRARY) == []
    assert findings(LIBRARY, there=(LIBRARY, SHOP)) == []


@pytest.mark.parametrize(
    ("changes", "operators", "words"),
    [
        ({"app": "library", "root": "/srv/library"}, (), "site_app is library, which is on this"),
        ({"app": "messagebus", "root": "/srv/messagebus"}, (), "a user that the droplet has"),
        ({"user": "shop"}, (), "are both shop"),
        ({"user": "deploy"}, (), "write site_deploy_user: deploy-shop"),
        ({"user": "library"}, (), "site_deploy_user is library, a user of library"),
        ({"app": "deploy", "root": "/home/deploy"}, (), "site_app is deploy, a user of library"),
        ({"domains": ["a.org", "www.library.example.org"]}, (), "has www.library.example.org"),
        ({}, ("shop",), "site_operators has shop, a user of the site"),
        ({}, ("deploy-shop",), "site_operators has deploy-shop, a user of the site"),
        ({}, ("library",), "site_operators has library, a user of library"),
        ({}, ("deploy",), "site_operators has deploy, a user of library"),
    ],
)
def test_a_name_that_is_taken(changes: dict[str, Any], operators: tuple[str], words: str) -> None:
    (finding,) = findings(changes, operators)
    assert words in finding


def test_all_names_that_are_taken_come_at_once() -> None:
    assert len(findings({"user": "deploy", "domains": LIBRARY["domains"]})) == 3


@pytest.mark.parametrize("name", ["root", "www-data", "postgres", "Deploy", "1x", "", "a" * 33])
def test_no_name_for_a_deploy_user(name: str) -> None:
    assert len(preflight.deploy_user_findings(name)) == 1


@pytest.mark.parametrize("name", ["deploy", "deploy-shop", "ship_1"])
def test_a_name_for_a_deploy_user(name: str) -> None:
    assert preflight.deploy_user_findings(name) == []


@pytest.mark.parametrize("addons", [["memcached"], "redis", [["redis"]]])
def test_no_addon(addons: Any) -> None:
    assert len(preflight.addon_findings(addons)) == 1
    assert preflight.addon_findings(["redis"]) == []
