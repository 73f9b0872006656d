"""sudoers, SSH, firewall, PostgreSQL and the helpers that the deploy user may call."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.templates.render import ROOT, render, value
from tests.templates.role_files import load

postgres_memory = load("postgres/filter_plugins/postgres_memory.py").postgres_memory
certbot = load("acme/filter_plugins/certbot.py")

MODERN_KEX = {
    "stdout_lines": [
        "sntrup761x25519-sha512@openssh.com",
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        "diffie-hellman-group1-sha1",
    ]
}


def test_sudoers_allows_two_programs_and_nothing_else(tmp_path: Path) -> None:
    text = render("app", "sudoers.j2")
    defaults, rule = [line for line in text.splitlines() if line and not line.startswith("#")]
    # Fabric gives the two no terminal, and they start other programs.
    assert defaults == "Defaults:deploy !requiretty, !noexec, umask=0022"
    assert rule == (
        "deploy ALL=(root) NOPASSWD: "
        "/usr/local/sbin/locallibrary-unit, /usr/local/sbin/locallibrary-manage"
    )
    if visudo := shutil.which("visudo"):
        file = tmp_path / "sudoers"
        file.write_text(text)
        assert subprocess.run([visudo, "-cf", str(file)], capture_output=True).returncode == 0


def sshd(**changes: Any) -> dict[str, str]:
    text = render("ssh", "00-slipway.conf.j2", __ssh_known_kex=MODERN_KEX, **changes)
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split(" ", 1) for line in lines if not line.startswith("HostKey "))


def test_ssh_takes_keys_only_and_paramiko_s_exchange() -> None:
    config = sshd()
    assert config["AuthenticationMethods"] == "publickey"
    assert config["PasswordAuthentication"] == "no"
    assert config["AllowUsers"] == "root"
    assert config["PermitRootLogin"] == "prohibit-password"
    exchanges = config["KexAlgorithms"].split(",")
    assert "curve25519-sha256" in exchanges
    # What this OpenSSH does not know would make it refuse the file; what is weak is never offered.
    assert "sntrup761x25519-sha512" not in exchanges
    assert "diffie-hellman-group1-sha1" not in exchanges


def test_each_site_lets_its_deploy_user_in_by_a_file_of_its_own() -> None:
    assert render("ssh", "site.conf.j2").splitlines()[-1] == "AllowUsers deploy"
    (task,) = [
        task
        for task in yaml.safe_load((ROOT / "roles/ssh/tasks/configure.yml").read_text())
        if "host_files" in task
    ]
    assert task["host_files"]["files"][0]["path"] == (
        "/etc/ssh/sshd_config.d/{{ ssh_site }}-deploy.conf"
    )


def test_a_dead_client_is_noticed_within_fifteen_seconds() -> None:
    config = sshd()
    assert int(config["ClientAliveInterval"]) * int(config["ClientAliveCountMax"]) <= 15


def test_firewall_drops_what_is_not_listed() -> None:
    text = render("firewall", "nftables.conf.j2", firewall_extra_tcp_ports=[8443])
    assert "hook input priority filter; policy drop;" in text
    assert "tcp dport { 80, 443, 8443 } accept" in text
    assert "udp dport { 443 } accept" in text
    assert "packet-too-big" in text
    assert "nd-neighbor-solicit" in text
    limit = text.index("limit rate over 30/minute")
    assert limit < text.index("tcp dport 22 accept")


def test_firewall_opens_the_port_that_ansible_connects_to() -> None:
    assert "tcp dport 2222 accept" in render("firewall", "nftables.conf.j2", ansible_port=2222)


OUTBOUND = {
    "__app_user": {"uid": 990},
    "ansible_facts": {"dns": {"nameservers": ["192.0.2.53", "fe80::1%eth0"]}},
}


@pytest.mark.parametrize(
    ("targets", "accepted"),
    [
        ([], []),
        (["any"], ["ip daddr 192.0.2.53 th dport 53", "ip6 daddr fe80::1 th dport 53"]),
        (
            ["203.0.113.25", "2001:db8::/32"],
            [
                "ip daddr 203.0.113.25",
                "ip6 daddr 2001:db8::/32",
                "ip daddr 192.0.2.53 th dport 53",
                "ip6 daddr fe80::1 th dport 53",
            ],
        ),
    ],
)
def test_a_site_reaches_what_is_listed(targets: list[str], accepted: list[str]) -> None:
    text = render("app", "outbound.nft.j2", app_outbound=targets, **OUTBOUND)
    assert re.findall(r"^\t\t(.*) accept$", text, re.MULTILINE) == ["oif lo", *accepted]
    assert ("reject" in text) is (targets != ["any"])
    assert "meta skuid 990 jump site" in text


@pytest.mark.parametrize(
    "text",
    [
        render("firewall", "nftables.conf.j2"),
        render("app", "outbound.nft.j2", app_outbound=["192.0.2.1", "::/0"], **OUTBOUND),
    ],
    ids=["firewall", "outbound"],
)
def test_nft_understands_the_rules(tmp_path: Path, text: str) -> None:
    nft = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    unshare = shutil.which("unshare")
    if not nft or not unshare or os.geteuid() != 0:
        pytest.skip("nft needs root, and a network namespace that no host depends on")
    file = tmp_path / "nftables.conf"
    file.write_text(text)
    done = subprocess.run(
        [unshare, "-n", nft, "-c", "-f", str(file)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def mb(setting: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(kB|MB)", setting).groups()  # type: ignore[union-attr]
    return int(number) / (1024 if unit == "kB" else 1)


@given(st.integers(256, 512 * 1024), st.integers(10, 500))
def test_postgres_never_plans_with_more_memory_than_there_is(memory: int, connections: int) -> None:
    settings = {name: mb(text) for name, text in postgres_memory(memory, connections).items()}
    assert settings["shared_buffers"] <= max(64, memory / 4)
    assert settings["effective_cache_size"] <= max(128, memory / 2)
    assert settings["maintenance_work_mem"] <= max(32, memory / 16)
    assert 2 <= settings["work_mem"] <= 64


@given(st.integers(256, 512 * 1024))
def test_more_memory_never_means_less_for_postgres(memory: int) -> None:
    less, more = postgres_memory(memory, 100), postgres_memory(memory + 1024, 100)
    assert all(mb(less[name]) <= mb(more[name]) for name in less)


def test_postgres_settings() -> None:
    text = render("postgres", "slipway.conf.j2", postgres_settings={"search_path": "a'b"})
    assert "shared_buffers = 500MB" in text
    assert "listen_addresses = ''" in text
    # The last one wins in PostgreSQL, so the inventory's own come last.
    assert text.rstrip().endswith("search_path = 'a''b'")


@pytest.mark.parametrize(
    ("release", "version"), [("bookworm", "15"), ("trixie", "17"), ("noble", "16")]
)
def test_postgres_is_the_system_s(release: str, version: str) -> None:
    facts = {"distribution_release": release}
    assert value("postgres", "postgres_version", ansible_facts=facts) == version


def test_nobody_connects_to_postgres_but_over_the_socket() -> None:
    lines = render("postgres", "pg_hba.conf.j2").splitlines()
    rules = [line.split() for line in lines if line and not line.startswith("#")]
    assert rules == [
        ["local", "all", "postgres", "peer"],
        ["local", "replication", "postgres", "peer"],
        ["local", "samerole", "all", "peer"],
    ]


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("start",),
        ("start", "../../etc"),
        ("start", "20260801T101112-0123456\nx"),
        ("start", "20260801T101112-0123456;id"),
        ("start", "20260801T101112-0123456"),  # there is no such release
        ("stop", "--all", "x"),
        ("forget", "nginx.service"),
        ("restart", "20260801T101112-0123456"),
        ("list", "x"),
    ],
)
def test_the_unit_helper_refuses(tmp_path: Path, args: tuple[str, ...]) -> None:
    done = helper(tmp_path, "unit", *args)
    assert done.returncode == 64
    assert done.stderr.startswith("locallibrary-unit: ")


def test_the_unit_helper_refuses_a_number_that_is_none(tmp_path: Path) -> None:
    release = "20260801T101112-0123456"
    (tmp_path / "srv" / "releases" / release).mkdir(parents=True)
    done = helper(tmp_path, "unit", "logs", release, "1; id")
    assert done.returncode == 64
    assert "no number of lines" in done.stderr


@pytest.mark.parametrize("args", [("migrate",), ("--release",), ("--release", "x")])
def test_the_manage_helper_refuses(tmp_path: Path, args: tuple[str, ...]) -> None:
    done = helper(tmp_path, "manage", *args)
    assert done.returncode == 64
    assert done.stderr.startswith("locallibrary-manage: ")


def helper(tmp_path: Path, name: str, *args: str) -> subprocess.CompletedProcess[str]:
    """A helper as sudo would start it, with the site's folder below the test's own."""
    script = tmp_path / name
    script.write_text(render("app", f"{name}.j2", site_root=str(tmp_path / "srv")))
    return subprocess.run(["sh", str(script), *args], capture_output=True, text=True)


@pytest.mark.parametrize(
    ("role", "template"),
    [
        ("app", "unit.j2"),
        ("app", "manage.j2"),
        ("tls", "deploy-hook.j2"),
        ("tls", "alert.j2"),
    ],
)
def test_scripts_are_posix_shell(role: str, template: str) -> None:
    text = render(role, template)
    assert text.startswith("#!/bin/sh\n")
    done = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_slipway_command_names_the_sites_there_are() -> None:
    script = ROOT / "roles" / "app" / "files" / "slipway"
    done = subprocess.run(["sh", str(script)], capture_output=True, text=True)
    assert done.returncode == 64
    assert "slipway APP" in done.stderr


RECORD = """\
version = 4.0.0
[renewalparams]
server = https://acme.example/dir
webroot_path = /var/lib/acme-webroot,
[[webroot_map]]
www.library.example.org = /var/lib/acme-webroot
library.example.org = /var/lib/acme-webroot
"""


def test_certbot_s_record_is_read() -> None:
    assert certbot.certbot_lineage(RECORD) == {
        "server": "https://acme.example/dir",
        "domains": ["library.example.org", "www.library.example.org"],
        "ends_soon": False,
    }
    assert certbot.certbot_lineage("") == {"server": "", "domains": [], "ends_soon": False}


@pytest.mark.parametrize(
    ("changes", "due"),
    [
        ({}, False),
        ({"site_domains": ["library.example.org"]}, True),
        ({"site_acme_directory": "https://other.example/dir"}, True),
    ],
)
def test_a_certificate_is_asked_for_when_domains_or_authority_changed(
    changes: dict[str, Any], due: bool
) -> None:
    known = certbot.certbot_lineage(RECORD)
    site = {"site_acme_directory": "https://acme.example/dir", **changes}
    assert value("acme", "__acme_due", __acme_known=known, **site) is due


REFUSED = """\
Renewing an existing certificate for a.example.org and b.example.org

Certbot failed to authenticate some domains (authenticator: webroot). The authority said:
  Domain: b.example.org
  Type:   dns
  Detail: DNS problem: NXDOMAIN looking up A for b.example.org

Hint: The Certificate Authority failed to download the temporary challenge files.
"""
UNREACHABLE = """\
Saving debug log to /var/log/letsencrypt/letsencrypt.log
An unexpected error occurred:
ValueError: Requesting 10.87.0.1/dir: Connection refused
Ask for help or search for solutions at https://community.letsencrypt.org.
"""


def test_why_no_certificate_was_issued() -> None:
    assert certbot.certbot_reasons({"stdout": REFUSED, "stderr": UNREACHABLE}) == [
        "b.example.org: DNS problem: NXDOMAIN looking up A for b.example.org"
    ]
    assert certbot.certbot_reasons({"stdout": "", "stderr": UNREACHABLE}) == [
        "ValueError: Requesting 10.87.0.1/dir: Connection refused"
    ]
