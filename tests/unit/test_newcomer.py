"""invoke new: what cannot be is refused, what is written can be read, what is missing is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from deploy import newcomer
from deploy.errors import Refused
from deploy.newcomer import Newcomer

SHOP = Newcomer(
    name="shop",
    address="203.0.113.10",
    domains=("shop.example.org", "www.shop.example.org"),
    email="you@example.org",
    key="ssh-ed25519 AAAA you@example.org",
    operator="ada",
    app="",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "inventory" / "group_vars").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("operator", ["ada", ""])
def test_both_files_say_what_was_said(root: Path, operator: str) -> None:
    newcomer.write(root, replace(SHOP, operator=operator))
    hosts, facts = (yaml.safe_load(path.read_text()) for path in newcomer.paths(root, "shop"))
    groups = hosts["shop"]["children"]
    # A host named like a group would be both at once for Ansible.
    assert groups == {"app": {"hosts": {"shop1": {"ansible_host": "203.0.113.10"}}}} | {
        "db": {"hosts": {"shop1": None}}
    }
    said: dict[str, object] = {
        "environment_name": "shop",
        "site_domains": ["shop.example.org", "www.shop.example.org"],
        "site_deploy_keys": [SHOP.key],
        "site_acme_email": "you@example.org",
    }
    if operator:
        said |= {"ansible_user": "ada", "site_operators": {"ada": [SHOP.key]}}
    assert facts == said


def test_a_second_site_gets_a_name_and_a_deploy_user_of_its_own(root: Path) -> None:
    newcomer.write(root, replace(SHOP, app="bazaar"))
    facts = yaml.safe_load(newcomer.paths(root, "shop")[1].read_text())
    assert (facts["site_app"], facts["site_deploy_user"]) == ("bazaar", "deploy-bazaar")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"name": "My Shop"}, "'My Shop' cannot name an environment"),
        ({"name": "app"}, "'app' cannot name an environment"),
        ({"address": "http://203.0.113.10"}, "is no address and no host name"),
        ({"domains": ("https://shop.example.org",)}, "'https://shop.example.org' is no domain"),
        ({"domains": ("shop",)}, "'shop' is no domain"),
        ({"domains": ("203.0.113.10",)}, "'203.0.113.10' is no domain"),
        ({"email": ""}, "--email you@example.org"),
        ({"app": "my-shop"}, "'my-shop' cannot name a site"),
    ],
)
def test_what_cannot_be(root: Path, wrong: dict[str, object], says: str) -> None:
    with pytest.raises(Refused) as refused:
        newcomer.checked(root, replace(SHOP, **wrong))  # type: ignore[arg-type]
    assert says in refused.value.message


def test_what_is_there_is_left_alone(root: Path) -> None:
    assert newcomer.checked(root, SHOP) == SHOP
    newcomer.paths(root, "shop")[1].write_text("mine\n")
    with pytest.raises(Refused, match="inventory/group_vars/shop.yml is there already"):
        newcomer.checked(root, SHOP)


def test_the_key_is_the_one_that_ssh_would_take(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="ssh-keygen -t ed25519"):
        newcomer.public_key(tmp_path)
    (tmp_path / "id_rsa.pub").write_text("ssh-rsa AAAA old\n")
    assert newcomer.public_key(tmp_path) == "ssh-rsa AAAA old"
    (tmp_path / "id_ed25519.pub").write_text("ssh-ed25519 AAAA  new\n")
    assert newcomer.public_key(tmp_path) == "ssh-ed25519 AAAA new"


@pytest.mark.parametrize(
    ("domain", "address", "told", "advice"),
    [
        ("localhost", "127.0.0.1", "leads to 127.0.0.1", None),
        ("127.0.0.1", "203.0.113.10", "leads to 127.0.0.1, and the droplet is 203.0.113.10", "set"),
        ("no such name", "203.0.113.10", "has no address in the DNS", "A record to 203."),
    ],
)
def test_a_name_that_leads_elsewhere(
    domain: str, address: str, told: str, advice: str | None
) -> None:
    finding = newcomer._name(domain, {address, "::1"} if domain == "localhost" else {address})
    assert told in finding.told
    assert (advice in (finding.advice or "")) if advice else finding.advice is None


def test_a_host_that_does_not_answer() -> None:
    # Nobody listens there: a loopback address of the test's own.
    (finding,) = newcomer._ssh("127.99.99.99")
    assert "nobody answers on port 22" in finding.told
