"""Backups in a bucket, kept by a server that speaks S3 over TLS."""

import http.client
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uv

from lab.network import DOMAIN, GATEWAY
from lab.run import dies_with_parent
from tests.lab.backup.rows import count, written
from tests.lab.backup.test_backup import json_of, nothing_left
from tests.lab.roles import play
from tests.lab.site import BIN, Site, environment, run

pytestmark = pytest.mark.slow

SERVER = ("moto[s3]==5.2.5", "flask==3.1.3", "flask-cors==6.0.5")
# pgBackRest wants a name in the certificate, and no address.
NAME, PORT = f"s3.{DOMAIN}", 8333
# The server that comes with moto ends connections in a way that TLS forbids.
APPLICATION = """\
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

application = DomainDispatcherApplication(create_backend_app)
"""
KEPT = ("--worker-class=gthread", "--threads=16", "--keep-alive=0", "--no-control-socket")
BUCKET, SECRET = "slipway-backups", "canary-3-of-the-bucket"
TRUSTED = "/usr/local/share/ca-certificates/slipway-lab.crt"


@dataclass(frozen=True)
class Bucket:
    """A bucket of a server that forgets all when it ends; ``certificate`` is the server's."""

    address: str
    certificate: Path


def asked(method: str, path: str) -> str:
    """What the server answers."""
    context = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection(GATEWAY, PORT, timeout=10, context=context)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        assert answer.status == 200, answer.status
        return answer.read().decode()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def bucket(debian13: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    folder = tmp_path_factory.mktemp("s3")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    done = run(uv.find_uv_bin(), "pip", "install", "--quiet", "--target", str(folder), *SERVER)
    assert done.code == 0, done
    done = run(
        *("openssl", "req", "-x509", "-noenc", "-newkey", "ec", "-pkeyopt"),
        *("ec_paramgen_curve:prime256v1", "-days", "30", "-subj", f"/CN={NAME}"),
        *("-addext", f"subjectAltName=DNS:{NAME}"),
        *("-keyout", str(key), "-out", str(certificate)),
    )
    assert done.code == 0, done
    (folder / "bucket.py").write_text(APPLICATION)
    options = ("--bind", f"{GATEWAY}:{PORT}", "--certfile", str(certificate), "--keyfile", str(key))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            dies_with_parent((str(BIN / "gunicorn"), *options, *KEPT, "bucket")),
            cwd=folder,
            env={
                **environment(),
                "PYTHONPATH": str(folder),
                # The first word of the server's name is no bucket.
                "S3_IGNORE_SUBDOMAIN_BUCKETNAME": "true",
            },
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
        yield Bucket(f"{NAME}:{PORT}/{BUCKET}", certificate)
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def site(debian13: Site, bucket: Bucket) -> Iterator[Site]:
    """The droplet with its backups in the bucket; on its own disk again afterwards."""
    assert debian13.invoke("deploy").code == 0
    trusted = bucket.certificate.read_text()
    debian13.ask(f"cat >{TRUSTED} <<'END'\n{trusted}END\nupdate-ca-certificates")
    debian13.ask(f"echo '{GATEWAY} {NAME}' >>/etc/hosts")
    facts = {
        "backup_repository": f"s3://{bucket.address}/library",
        "backup_key": "c2l4dGVlbiB0b25zIG9mIG51bWJlciBuaW5lIGNvYWw=",
        "backup_s3_key": "slipway",
        "backup_s3_secret": SECRET,
    }
    done = play(debian13, ["backup"], **facts)
    assert done.code == 0, done.stdout[-3000:]
    assert SECRET not in done.output
    yield debian13
    debian13.ask(f"rm -f {TRUSTED}; update-ca-certificates --fresh; sed -i '/{NAME}/d' /etc/hosts")
    done = play(debian13, ["backup"])
    assert done.code == 0, done


def test_a_backup_in_a_bucket_is_proved_and_comes_back(site: Site, bucket: Bucket) -> None:
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


def test_a_bucket_that_is_not_there_is_told(site: Site, bucket: Bucket) -> None:
    done = play(
        site,
        ["backup"],
        backup_repository=f"s3://{bucket.address}-of-nobody",
        backup_key="c2l4dGVlbiB0b25zIG9mIG51bWJlciBuaW5lIGNvYWw=",
        backup_s3_key="slipway",
        backup_s3_secret=SECRET,
    )
    assert done.code != 0
    assert "There is no such bucket. Make it" in " ".join(done.output.split())
    assert SECRET not in done.output
