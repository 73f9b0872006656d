"""Backups in a bucket, kept by a server that speaks S3 over TLS."""

import http.client
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import uv

from lab.network import DOMAIN, GATEWAY
from lab.run import dies_with_parent
from tests.lab.backup.rows import count, written
from tests.lab.backup.test_backup import json_of, nothing_left
from tests.lab.roles import play
from tests.lab.site import Site, environment, run

pytestmark = pytest.mark.slow

SERVER = ("moto[s3]==5.2.5", "flask==3.1.3", "flask-cors==6.0.5")
# pgBackRest wants a name in the certificate, and no address.
NAME, PORT = f"s3.{DOMAIN}", 8333
# moto's server ends connections in a way that TLS forbids: the droplet's Nginx stands before it.
FRONT = "/etc/nginx/conf.d/bucket.conf"
NGINX = f"""\
server {{
    listen 127.0.0.1:{PORT} ssl;
    server_name {NAME};
    ssl_certificate /root/bucket/certificate.pem;
    ssl_certificate_key /root/bucket/key.pem;
    client_max_body_size 0;
    location / {{
        proxy_pass http://{GATEWAY}:{PORT};
        proxy_set_header Host $http_host;
    }}
}}
"""
BUCKET, SECRET = "slipway-backups", "canary-3-of-the-bucket"
TRUSTED = "/usr/local/share/ca-certificates/slipway-lab.crt"


def asked(method: str, path: str) -> str:
    """What the server answers."""
    connection = http.client.HTTPConnection(GATEWAY, PORT, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        assert answer.status == 200, answer.status
        return answer.read().decode()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address; the server forgets everything when it ends."""
    folder = tmp_path_factory.mktemp("s3")
    done = run(uv.find_uv_bin(), "pip", "install", "--quiet", "--target", str(folder), *SERVER)
    assert done.code == 0, done
    argv = (sys.executable, "-m", "moto.server", "-H", GATEWAY, "-p", str(PORT))
    # The first word of the server's name is no bucket.
    variables = {"PYTHONPATH": str(folder), "S3_IGNORE_SUBDOMAIN_BUCKETNAME": "true"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            dies_with_parent(argv), env={**environment(), **variables}, stdout=log, stderr=log
        )
    try:
        for _ in range(100):
            try:
                asked("PUT", f"/{BUCKET}")
                break
            except OSError:
                time.sleep(0.2)
        yield f"{NAME}:{PORT}/{BUCKET}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def site(debian13: Site, bucket: str) -> Iterator[Site]:
    """The droplet with its backups in the bucket; on its own disk again afterwards."""
    assert debian13.invoke("deploy").code == 0
    debian13.ask(
        "mkdir -m 700 /root/bucket && cd /root/bucket && openssl req -x509 -noenc -newkey ec "
        f"-pkeyopt ec_paramgen_curve:prime256v1 -days 30 -subj /CN={NAME} -addext "
        f"subjectAltName=DNS:{NAME} -keyout key.pem -out certificate.pem 2>/dev/null\n"
        f"install -m 644 certificate.pem {TRUSTED} && update-ca-certificates\n"
        f"echo '127.0.0.1 {NAME}' >>/etc/hosts\n"
        f"cat >{FRONT} <<'END'\n{NGINX}END\nnginx -qt && systemctl reload nginx"
    )
    facts = {
        "backup_repository": f"s3://{bucket}/library",
        "backup_key": "c2l4dGVlbiB0b25zIG9mIG51bWJlciBuaW5lIGNvYWw=",
        "backup_s3_key": "slipway",
        "backup_s3_secret": SECRET,
    }
    done = play(debian13, ["backup"], **facts)
    assert done.code == 0, done.stdout[-3000:]
    assert SECRET not in done.output
    yield debian13
    debian13.ask(
        f"rm -rf {TRUSTED} {FRONT} /root/bucket; update-ca-certificates --fresh\n"
        f"sed -i '/{NAME}/d' /etc/hosts; systemctl reload nginx"
    )
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
    assert "There is no such bucket. Make it" in " ".join(done.output.split())
    assert SECRET not in done.output
