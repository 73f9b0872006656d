"""Each mistake gets one sentence that says what to do; what is right gets none."""

from __future__ import annotations

from typing import Any

import pytest

from tests.templates.render import FACTS, SITE, value
from tests.templates.role_files import load

preflight = load("preflight/filter_plugins/preflight.py")
SUPPORTED = {"Debian": ["12", "13"], "Ubuntu": ["24.04"]}
LOOK = "20480\n/etc/postgresql/17/main/start.conf\n\nroot:x:0:0:root:/root:/bin/bash"


@pytest.mark.parametrize(
    ("domain", "advice"),
    [
        ("https://library.example.org/", "write library.example.org"),
        ("Library.Example.org", "write library.example.org"),
        (" library.example.org", "write library.example.org"),
        ("library.example.org:8443", "write library.example.org"),
        ("bücherei.example", "write xn--bcherei-n2a.example"),
        ("*.example.org", "wildcard"),
        ("192.0.2.7", "not an address"),
        ("my library.org", "write a full host name"),
        ("localhost", "write a full host name"),
        ("under_score.example.org", "write a full host name"),
        ("-x.example.org", "write a full host name"),
        ("", "write a full host name"),
    ],
)
def test_no_domain(domain: str, advice: str) -> None:
    (finding,) = preflight.domain_findings([domain])
    assert repr(domain) in finding
    assert advice in finding


@pytest.mark.parametrize("domain", ["example.org", "a.b-c.example.org", "xn--bcherei-n2a.example"])
def test_a_domain(domain: str) -> None:
    assert preflight.domain_findings([domain]) == []


@pytest.mark.parametrize("domains", [None, [], "example.org"])
def test_no_list_of_domains(domains: Any) -> None:
    assert "no list of host names" in preflight.domain_findings(domains)[0]


def test_a_domain_listed_twice() -> None:
    assert "twice" in preflight.domain_findings(["a.org", "a.org"])[0]


@pytest.mark.parametrize(
    "name", ["shop-1", "Shop", "1shop", "a" * 33, "", "postgres", "pg_x", "root"]
)
def test_no_name_for_an_app(name: str) -> None:
    assert len(preflight.app_name_findings(name)) == 1


@pytest.mark.parametrize("name", ["shop", "locallibrary", "a" * 32, "shop_2"])
def test_a_name_for_an_app(name: str) -> None:
    assert preflight.app_name_findings(name) == []


def test_config_vars_never_show_a_value() -> None:
    findings = preflight.config_var_findings(
        {"GOOD": "x\ny", "A B": "hidden", "NUMBER": 1, "ZERO": "hid\0den"}
    )
    assert len(findings) == 3
    assert "hid" not in " ".join(findings)


@pytest.mark.parametrize("keys", [None, [], ["AAAA"], ["-----BEGIN OPENSSH PRIVATE KEY-----"]])
def test_no_keys(keys: Any) -> None:
    assert len(preflight.key_findings(keys)) == 1


def test_keys() -> None:
    keys = [
        "ssh-ed25519 AAAA+/= me@home\n",
        "ecdsa-sha2-nistp256 AAAA",
        "sk-ssh-ed25519@openssh.com AA==",
    ]
    assert preflight.key_findings(keys) == []


def droplet(free: int = 20 * 2**10, **changes: Any) -> list[str]:
    facts = {**FACTS, **changes}
    architectures = ["x86_64", "aarch64"]
    return list(preflight.droplet_findings(facts, SUPPORTED, architectures, 512, 1024, free))


def test_an_inventory_without_its_facts() -> None:
    assert "beside group_vars" in preflight.missing_variables({}, [])[0]


def test_a_missing_variable_is_named_with_its_meaning() -> None:
    (finding,) = preflight.missing_variables({"site_x": "the x", "site_y": "the y"}, ["site_y"])
    assert finding.startswith("site_x is not set: the x.")


def test_a_droplet_that_will_do() -> None:
    assert droplet() == []
    assert droplet(distribution="Ubuntu", distribution_version="24.04") == []
    # What a machine sold with 512 MB reports.
    assert droplet(memtotal_mb=458) == []


def test_all_that_a_droplet_lacks_at_once() -> None:
    findings = droplet(
        distribution_version="11.9",
        architecture="armv7l",
        memtotal_mb=230,
        free=300,
    )
    assert len(findings) == 4
    assert "Debian 11.9 is not supported: use a droplet with one of Debian 12, 13" in findings[0]
    assert "armv7l" in findings[1]
    assert "230 MB of memory" in findings[2]
    assert "300 MB of free disk" in findings[3]


def test_another_system() -> None:
    assert (
        "AlmaLinux 9.4 is not supported"
        in droplet(distribution="AlmaLinux", distribution_version="9.4")[0]
    )


def test_groups_without_a_host() -> None:
    findings = preflight.group_findings({"app": ["web1"], "db": []}, ["app", "db", "cache"])
    assert [finding.split(":")[0].split()[-1] for finding in findings] == ["db", "cache"]


def test_nothing_is_found_wrong_with_a_right_inventory() -> None:
    found = value(
        "preflight",
        "__preflight_findings",
        groups={"app": ["web1"], "db": ["web1"]},
        app_config_vars={"EMAIL_HOST": "mail.example.org"},
        __preflight_defined=list(SITE),
        __preflight_look={"stdout": LOOK},
    )
    assert found == []


@pytest.mark.parametrize(
    ("targets", "advice"),
    [
        (True, "app_outbound is no list"),
        (["smtp.example.org"], "'smtp.example.org', which is no address"),
        ([True], "'True', which is no address"),
        (["203.0.113.25/24"], "'203.0.113.25/24', which is no address"),
        (["169.254.169.254"], "metadata address: remove it"),
        (["fd00:ec2::254"], "metadata address: remove it"),
    ],
)
def test_what_a_site_cannot_be_let_out_to(targets: Any, advice: str) -> None:
    (finding,) = preflight.outbound_findings(targets)
    assert advice in finding


def test_what_a_site_can_be_let_out_to() -> None:
    targets = ["any", "203.0.113.25", "198.51.100.0/24", "2001:db8::/32"]
    assert preflight.outbound_findings(targets) == []


def test_another_postgres_than_the_wanted_one_stops_a_run() -> None:
    """After an upgrade of the system the newer one would be an empty cluster beside the data."""
    clusters = ["/etc/postgresql/15/main/start.conf"]
    (finding,) = preflight.postgres_findings(clusters, "17")
    assert "PostgreSQL 15 is in use, and the inventory wants 17" in finding
    assert (
        'invoke db.upgrade, or stay with the one in use by writing site_postgres_version: "15"'
        in (finding)
    )
    assert preflight.postgres_findings(clusters, "15") == []
    assert preflight.postgres_findings([], "17") == []
    # A system that nobody knows is told of by another sentence.
    assert preflight.postgres_findings(clusters, "") == []
