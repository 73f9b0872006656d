"""A droplet is lost while rows are written, and a bare one takes its place from an SFTP host."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from lab.run import run as must
from tests.lab.backup.rows import APP, TABLE, begin, sql
from tests.lab.backup.test_backup import json_of
from tests.lab.inventories import hosts
from tests.lab.preparations import bring_up, claim, new_site, take_down
from tests.lab.site import PREFIX, Site

pytestmark = pytest.mark.slow

# The most that is lost with the droplet, and the way of the last segment to the other host.
ARCHIVE_SECONDS, WAY_SECONDS = 20, 10
UPLOAD = f"/srv/{APP}/media/upload.txt"


@dataclass(frozen=True)
class Keeper:
    """A host that keeps backups: where it is, and its public keys."""

    address: str
    host_keys: list[str]


@pytest.fixture(scope="module")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Keeper, str]]:
    """The host, and the private key that logs in there by SFTP alone."""
    name = f"{PREFIX}keeper"
    key = tmp_path_factory.mktemp("keeper") / "key"
    must("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    claim(name)
    try:
        address = bring_up(name, "trixie")
        host = Site(name, "trixie", address, Path("/"))
        public = key.with_suffix(".pub").read_text().strip()
        host.ask(
            "useradd --create-home keeper && install -d -o keeper /srv/kept && "
            "install -d -o keeper -m 700 /home/keeper/.ssh && "
            f"echo 'restrict,command=\"internal-sftp\" {public}' "
            "> /home/keeper/.ssh/authorized_keys"
        )
        host_keys = host.ask("cut -d' ' -f1,2 /etc/ssh/ssh_host_*_key.pub").splitlines()
        yield Keeper(address, host_keys), key.read_text()
    finally:
        take_down(name)


def to_the_keeper(site: Site, keeper: Keeper, key: str) -> None:
    """The site's inventory, with its backups at the keeper."""
    facts = {
        "ansible_host": site.address,
        "environment_name": site.name,
        "site_domains": [site.domain],
        "site_backup_repository": f"sftp://keeper@{keeper.address}/srv/kept",
        "site_backup_key": "c2l4dGVlbiB0b25zIG9mIG51bWJlciBuaW5lIGNvYWw=",
        "backup_ssh_key": key,
        "backup_host_keys": keeper.host_keys,
        "backup_archive_seconds": ARCHIVE_SECONDS,
    }
    path = site.clone / "inventory" / f"{site.name}.yml"
    path.write_text(f"---\n{yaml.safe_dump(hosts(site.name, facts))}")


def test_a_bare_droplet_becomes_the_one_that_is_lost(
    keeper: tuple[Keeper, str], tmp_path: Path
) -> None:
    name = f"{PREFIX}lost"
    claim(name)
    try:
        site = new_site(name, "trixie", tmp_path)
        to_the_keeper(site, *keeper)
        done = site.play(log=f"{name}-provision")
        assert done.code == 0, done
        site.commit({}, "Backups go to the keeper")
        assert site.invoke("deploy").code == 0
        revision = site.git("rev-parse", "HEAD")
        secret = site.ask(f"cat /etc/{APP}/config/generated.SECRET_KEY | sha256sum")
        site.ask(f"echo picture > {UPLOAD} && chown {APP}:www-data {UPLOAD}")
        begin(site)
        json_of(site, "backup")
        assert json_of(site, "backup.verify")["ok"] is True
        # Some intervals go by, and the last one is cut off.
        time.sleep(3.5 * ARCHIVE_SECONDS)
        last = sql(site, f"SELECT extract(epoch FROM max(at)) FROM {TABLE}")
        site.ask("systemctl kill --signal=KILL postgresql@17-main")
        take_down(name)
        claim(name)
        bare = Site(name, "trixie", bring_up(name, "trixie"), tmp_path)
        to_the_keeper(bare, *keeper)
        begun = time.monotonic()
        rebuilt = bare.invoke("rebuild", "--from-backup", "--yes", "--json")
        assert rebuilt.code == 0, rebuilt
        took = time.monotonic() - begun
        told = json.loads(rebuilt.stdout)
        first = sql(bare, f"SELECT extract(epoch FROM max(at)) FROM {TABLE}")
        lost = float(last) - float(first)
        print(f"\nlost {lost:.1f} s of {ARCHIVE_SECONDS}; rebuilt in {took:.0f} s: {told}")
        assert lost <= ARCHIVE_SECONDS + WAY_SECONDS
        assert sql(bare, f"SELECT count(*) = max(id) FROM {TABLE}") == "t"
        assert told["release"]["revision"] == revision
        assert bare.get().status == 200
        assert bare.ask(f"cat {UPLOAD}") == "picture"
        assert bare.ask(f"stat -c %U:%G {UPLOAD}") == f"{APP}:www-data"
        assert bare.ask(f"cat /etc/{APP}/config/generated.SECRET_KEY | sha256sum") == secret
        # It goes on where the other one ended.
        json_of(bare, "backup", "--full")
        assert json_of(bare, "backup.verify")["ok"] is True
    finally:
        take_down(name)
