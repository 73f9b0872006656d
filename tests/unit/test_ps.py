"""What runs, and the certificate: as systemd, the kernel and openssl tell them."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.cli.ps import span
from deploy.host import audit, certificates
from deploy.host.processes import blocks, number, used

SHOWN = """\
Id=app-web@1.service
ActiveState=active
ControlGroup=/system.slice/x=y

NRestarts=0

Id=app-worker@1.service
"""


def test_units_are_told_apart() -> None:
    assert blocks(SHOWN) == [
        {
            "Id": "app-web@1.service",
            "ActiveState": "active",
            "ControlGroup": "/system.slice/x=y",
        },
        {"Id": "app-worker@1.service"},
    ]
    assert blocks("") == []


def test_what_systemd_does_not_know_is_none() -> None:
    assert [number(text) for text in ("5", "[not set]", str(2**64 - 1), "", None)] == [
        *(5, None),
        *(None, None, None),
    ]


def test_a_group_s_processes_are_summed_up(tmp_path: Path) -> None:
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    groups = {"1": "0::/init.scope", "20": "0::/a/web@1", "21": "9:name=systemd:/a/web@1"}
    for pid, group in groups.items():
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "cgroup").write_text(f"{group}\n")
        fields = ["0"] * 50
        fields[11], fields[12], fields[21] = str(ticks), str(2 * ticks), "10"
        (tmp_path / pid / "stat").write_text(f"{pid} (a ) b) {' '.join(fields)}\n")
    # One that ended meanwhile.
    (tmp_path / "30").mkdir()
    assert used("/a/web@1", tmp_path) == (20 * page, 6.0)
    assert used("", tmp_path) == (0, 0.0)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (7200, "2 h"), (200000, "2 d 7 h")],
)
def test_a_span_is_told_by_its_largest_units(seconds: int, told: str) -> None:
    assert span(seconds) == told


OPENSSL = """\
issuer=C=US, O=Let's Encrypt, CN=E7
subject=CN=library.example.org
notBefore=Nov  1 00:00:00 2026 GMT
notAfter=Jan 30 00:00:00 2027 GMT
X509v3 Subject Alternative Name:
    DNS:library.example.org, DNS:www.library.example.org
"""


def test_a_certificate_as_openssl_tells_it() -> None:
    found = certificates.parse(OPENSSL, datetime(2026, 11, 25, tzinfo=UTC))
    assert found["names"] == ["library.example.org", "www.library.example.org"]
    assert found["issuer"] == "C=US, O=Let's Encrypt, CN=E7"
    assert not found["self_signed"]
    assert found["days"] == 66
    assert found["not_before"] == "2026-11-01T00:00:00+00:00"


def test_it_is_due_with_a_third_of_its_life_left() -> None:
    end = datetime(2027, 1, 30, tzinfo=UTC)
    found = certificates.parse(OPENSSL, end)
    assert not certificates.due(found, end - timedelta(days=30))
    assert certificates.due(found, end - timedelta(days=30) + timedelta(seconds=1))
    assert certificates.due(found, end + timedelta(days=1))


def test_a_moment_of_systemd_s() -> None:
    assert certificates.moment("Thu 2026-11-26 04:40:16 UTC") == "2026-11-26T04:40:16+00:00"
    assert certificates.moment("") is None


def test_a_restart_says_nothing_of_what_a_release_is() -> None:
    live = {"at": "1", "event": audit.LIVE, "release": "r", "who": "ada"}
    again = {"at": "2", "event": audit.RESTARTED, "release": "r", "who": "bob", "process": "web"}
    assert audit.fold([live, again]) == audit.fold([live])
