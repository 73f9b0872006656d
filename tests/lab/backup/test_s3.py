"""Backups in a bucket, kept by a server that speaks S3 over TLS."""

import http.client
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uv

from lab import paths
from lab.network import GATEWAY
from lab.run import dies_with_parent
from lab.services import LISTENER_CERTIFICATE, LISTENER_KEY
from tests.lab.backup.rows import count, written
from tests.lab.backup.test_backup import json_of, nothing_left
from tests.lab.roles import play
from tests.lab.site import Site, run

pytestmark = pytest.mark.slow

SERVER = ("moto[s3]==5.2.5", "flask==3.1.3", "flask-cors==6.0.5")
PORT = 8333
BUCKET, SECRET = "slipway-backups", "canary-3-of-the-bucket"
TRUSTED = "/usr/local/share/ca-certificates/slipway-lab.crt"


def asked(method: str, path: str) -> str:
    """What the server answers, its certificate verified."""
    context = ssl.create_default_context(cafile=str(paths.ACME_CA))
    connection = http.client.HTTPSConnection(GATEWAY, PORT, timeout=10, context=context)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        assert answer.status == 200, answer.status
        return answer.read().decode()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def bucket(debian13: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address; the server forgets everything when it ends. The lab has made its certificate."""
    folder = tmp_path_factory.mktemp("s3")
    done = run(uv.find_uv_bin(), "pip", "install", "--quiet", "--target", str(folder), *SERVER)
    assert done.code == 0, done
    options = ("-H", GATEWAY, "-p", str(PORT), "-c", LISTENER_CERTIFICATE, "-k", LISTENER_KEY)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            dies_with_parent((sys.executable, "-m", "moto.server", *map(str, options))),
            env={**os.environ, "PYTHONPATH": str(folder)},
            stdout=log,
            stderr=log,
        )
    try:
        for _ in range(100):
            try:
                asked("PUT", f"/{BUCKET}")
                break
            except OSError:
                time.sleep(0.2)
        yield f"{GATEWAY}:{PORT}/{BUCKET}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def site(debian13: Site, bucket: str) -> Iterator[Site]:
    """The droplet with its backups in the bucket; on its own disk again afterwards."""
    assert debian13.invoke("deploy").code == 0
    authority = Path(paths.ACME_CA).read_text()
    debian13.ask(f"cat >{TRUSTED} <<'END'\n{authority}END\nupdate-ca-certificates")
    facts = {
        "backup_repository": f"s3://{bucket}/library",
        "backup_key": "c2l4dGVlbiB0b25zIG9mIG51bWJlciBuaW5lIGNvYWw=",
        "backup_s3_key": "slipway",
        "backup_s3_secret": SECRET,
    }
    done = play(debian13, ["backup"], **facts)
    assert done.code == 0, done
    assert SECRET not in done.output
    yield debian13
    debian13.ask(f"rm -f {TRUSTED}; update-ca-certificates --fresh")
    done = play(debian13, ["backup"])
    assert done.code == 0, done


def test_a_backup_in_a_bucket_is_proved_and_comes_back(site: Site, bucket: str) -> None:
    with written(site):
        made = json_of(site, "backup")
        assert made["exact"] is True
        proof = json_of(site, "backup.verify")
        assert (proof["ok"], proof["label"]) == (True, made["backup"])
        before = count(site)
        json_of(site, "restore", "--yes")
        assert count(site) >= before
    json_of(site, "restore", "--forget", "--yes")
    assert nothing_left(site)
    assert json_of(site, "status")["problems"] == []
    # Both parts are there, each in its folder.
    for part in ("postgresql/backup/main", "files/data"):
        listed = asked("GET", f"/{BUCKET}?list-type=2&prefix=library/{part}")
        assert f"<Key>library/{part}/" in listed, listed


def test_a_bucket_that_is_not_there_is_told(site: Site, bucket: str) -> None:
    done = play(
        site,
        ["backup"],
        backup_repository=f"s3://{bucket}-of-nobody",
        backup_key="c2l4dGVlbiB0b25zIG9mIG51bWJlciBuaW5lIGNvYWw=",
        backup_s3_key="slipway",
        backup_s3_secret=SECRET,
    )
    assert done.code != 0
    assert "the repository's host does not answer, or not as it should" in " ".join(
        done.output.split()
    )
    assert SECRET not in done.output
