"""The Redis of one of three sites: a cache, jobs, and who gets in."""

import shlex
import time

import pytest

from tests.lab.sites.attempts import redis_address
from tests.lab.sites.harbour import Tenant, job_is_done

pytestmark = pytest.mark.slow


def test_a_page_puts_a_job_and_the_worker_does_it(shop: Tenant) -> None:
    job_is_done(shop, 21)


def test_what_redis_holds_outlives_its_process(shop: Tenant) -> None:
    job_is_done(shop, 4)
    pid = shop.ask("systemctl show -P MainPID shop-redis")
    shop.ask("systemctl kill --signal=KILL shop-redis")
    until = time.monotonic() + 20
    while (
        shop.get("/done").status != 200 or shop.ask("systemctl show -P MainPID shop-redis") == pid
    ):
        assert time.monotonic() < until
        time.sleep(0.2)
    assert shop.get("/done").body == "8"
    job_is_done(shop, 5)


def test_status_tells_of_redis(shop: Tenant, library: Tenant) -> None:
    assert library.json("status")["addons"] == []
    (redis,) = shop.json("status")["addons"]
    assert (redis["name"], redis["up"]) == ("redis", True)
    assert 10**6 < redis["memory"] < 10**8
    assert "redis " in shop.invoke("status").stdout
    shop.ask("systemctl stop shop-redis")
    try:
        status = shop.json("status", code=1)
        assert [redis["up"] for redis in status["addons"]] == [False]
        assert "redis is inactive/dead. Run: ansible-playbook site.yml" in status["problems"]
    finally:
        shop.ask("systemctl start shop-redis")
    job_is_done(shop, 6)


def test_the_password_is_nowhere_but_in_the_site_s_config_vars(shop: Tenant) -> None:
    secret = shop.ask("cat /etc/shop/config/generated.REDIS_URL")
    assert len(secret) > 40
    seen = shop.inside("echo $REDIS_URL").stdout.strip()
    assert seen == f"redis://:{secret}@{redis_address(shop)}:6379/0"
    everywhere = (
        "cat /proc/[0-9]*/cmdline /etc/shop/redis.conf /run/shop-redis/users.acl; journalctl"
    )
    # Its own command line is among those that are searched.
    count = "tr '\\0' ' ' | grep -c -F -f /etc/shop/config/generated.REDIS_URL || :"
    assert shop.ask(f"{{ {everywhere}; }} | {count}") == "0"
    # Without it Redis answers nobody, not even the site.
    ping = (
        f"import socket; s = socket.create_connection(('{redis_address(shop)}', 6379), 3); "
        "s.sendall(b'PING\\r\\n'); print(s.recv(99))"
    )
    assert "NOAUTH" in shop.inside(f"python3 -c {shlex.quote(ping)}").stdout


def test_a_release_of_older_config_vars_gets_in_as_well(shop: Tenant) -> None:
    before = shop.release()
    done = shop.invoke("config.set", "COLOUR=blue")
    assert done.code == 0, done
    job_is_done(shop, 7)
    assert shop.invoke("config.rotate").code == 0
    job_is_done(shop, 8)
    done = shop.invoke("rollback", before)
    assert done.code == 0, done
    assert shop.release() == before
    job_is_done(shop, 9)
    shop.git("checkout", "--quiet", "inventory/group_vars/shop.yml")
    assert shop.play().code == 0
    assert shop.invoke("deploy").code == 0
