"""The Redis of a site: its address, its settings, its unit, and who may knock."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.templates.render import render, value
from tests.templates.role_files import load
from tests.templates.test_units import settings

loopback_address = load("app/filter_plugins/loopback_address.py").loopback_address
WITH_REDIS = {"site_addons": ["redis"]}
ADDRESS = loopback_address("locallibrary")


@given(st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True))
def test_every_site_has_an_address_that_leads_to_the_host_and_no_program_uses(name: str) -> None:
    address = ip_address(loopback_address(name))
    assert address in ip_network("127.128.0.0/9")
    assert address not in ip_network("127.255.0.0/16")


def test_the_address_of_a_site_never_changes() -> None:
    """Releases are bound to it by their config vars."""
    assert loopback_address("shop") == SHOP_ADDRESS
    assert loopback_address("shop") != loopback_address("shop2")


SHOP_ADDRESS = "127.142.144.1"


def test_the_site_is_told_where_its_redis_is_and_no_password() -> None:
    assert value("app", "app_config_templates", **WITH_REDIS) == {
        "REDIS_URL": f"redis://:{{secret}}@{ADDRESS}:6379/0"
    }
    assert value("app", "app_config_templates") == {}
    # The file that config_version makes for that name.
    assert value("redis", "redis_password_file", **WITH_REDIS) == (
        "/etc/locallibrary/config/generated.REDIS_URL"
    )


def redis_conf() -> dict[str, str]:
    lines = render("redis", "redis.conf.j2").splitlines()
    return dict(line.split(" ", 1) for line in lines if line and line[0] != "#")


def test_it_is_fit_for_a_cache_and_for_jobs() -> None:
    conf = redis_conf()
    assert conf["bind"] == ADDRESS
    assert conf["protected-mode"] == "yes"
    # What has a lifetime goes, so no job does.
    assert conf["maxmemory-policy"].startswith("volatile-")
    assert conf["maxmemory"] == "64mb"
    assert conf["appendonly"] == "yes"
    assert not {"requirepass", "user"} & conf.keys()


def test_its_unit_has_a_user_a_folder_and_a_limit_of_its_own() -> None:
    unit = settings(render("redis", "redis.service.j2"))
    assert unit["DynamicUser"] == ["yes"]
    assert unit["StateDirectory"] == ["locallibrary-redis"]
    assert redis_conf()["dir"] == "/var/lib/locallibrary-redis"
    assert unit["StateDirectoryMode"] == ["0700"]
    assert unit["MemoryMax"] == ["192M"]
    assert unit["Slice"] == ["slipway-locallibrary.slice"]
    assert unit["Before"] == ["locallibrary-current.service"]
    assert unit["LoadCredential"] == ["password:/etc/locallibrary/config/generated.REDIS_URL"]


def test_the_digest_of_the_password_is_all_that_redis_is_told(tmp_path: Path) -> None:
    (command,) = settings(render("redis", "redis.service.j2"))["ExecStartPre"]
    found = re.fullmatch(r"/bin/sh -c '(.*)'", command)
    assert found
    # As systemd reads it.
    line = found[1].replace("$$", "$").replace("%%", "%")
    (tmp_path / "password").write_text("hidden")
    folders = {"CREDENTIALS_DIRECTORY": str(tmp_path), "RUNTIME_DIRECTORY": str(tmp_path)}
    subprocess.run(["sh", "-c", line], env={**os.environ, **folders}, check=True)
    digest = "e564b4081d7a9ea4b00dada53bdae70c99b87b6fce869f0c3dd4d2bfa1e53e1c"
    told = (tmp_path / "users.acl").read_text()
    assert told == f"user default on #{digest} ~* &* +@all\n"


def test_a_site_with_redis_reaches_it_and_nothing_else() -> None:
    unit = settings(render("app", "web@.service.j2", **WITH_REDIS))
    assert unit["RestrictAddressFamilies"] == ["AF_UNIX AF_INET"]
    assert unit["IPAddressDeny"] == ["any"]
    assert unit["IPAddressAllow"] == [ADDRESS]
    assert "PrivateNetwork" not in unit
    rules = render("app", "outbound.nft.j2", __app_user={"uid": 990}, **WITH_REDIS)
    assert re.findall(r"^\t\t(.*) accept$", rules, re.MULTILINE) == [
        f"ip daddr {ADDRESS} tcp dport 6379"
    ]
    # With other places to go to it is the network as before.
    both = settings(render("app", "web@.service.j2", app_outbound=["any"], **WITH_REDIS))
    assert both["RestrictAddressFamilies"] == ["AF_UNIX AF_INET AF_INET6"]
    assert "IPAddressAllow" not in both


def test_nobody_but_the_site_knocks(tmp_path: Path) -> None:
    rules = render("redis", "redis.nft.j2", redis_name="daemon")
    assert f'ip daddr {ADDRESS} meta skuid != {{ "root", "daemon" }} reject' in rules
    nft = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    unshare = shutil.which("unshare")
    if not nft or not unshare or os.geteuid() != 0:
        pytest.skip("nft needs root, and a network namespace that no host depends on")
    file = tmp_path / "redis.nft"
    file.write_text(rules)
    done = subprocess.run([unshare, "-n", nft, "-c", "-f", str(file)], capture_output=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
def test_systemd_understands_every_line_and_its_exposure_is_small(tmp_path: Path) -> None:
    unit = tmp_path / "locallibrary-redis.service"
    text = render("redis", "redis.service.j2")
    unit.write_text(text.replace("/usr/bin/redis-server", "/bin/true"))
    for argv in (
        ("verify", "--man=no", "--recursive-errors=no"),
        ("security", "--offline=true", "--threshold=15"),
    ):
        done = subprocess.run(["systemd-analyze", *argv, str(unit)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-300:] + done.stderr
        assert "locallibrary-redis" not in done.stderr, done.stderr
