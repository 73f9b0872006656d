"""Which certificates are taken, which are refused, and when one is asked for anew."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.certificates import pair
from tests.templates.render import ROOT, render, value
from tests.templates.role_files import load

certificates = load("preflight/filter_plugins/certificates.py")
certbot = load("acme/filter_plugins/certbot.py")
DOMAINS = ["library.example.org", "www.library.example.org"]
CHAIN, KEY = pair(DOMAINS)
OTHER_CHAIN, OTHER_KEY = pair(DOMAINS)


@pytest.mark.parametrize(
    ("chain", "key"),
    [
        ("", ""),
        (CHAIN, KEY),
        (CHAIN + OTHER_CHAIN, KEY),
        pair(["library.example.org", "*.library.example.org"]),
    ],
    ids=["none", "own", "with its chain", "wildcard"],
)
def test_a_certificate_that_fits(chain: str, key: str) -> None:
    assert certificates.certificate_findings(chain, key, DOMAINS) == []


@pytest.mark.parametrize(
    ("chain", "key", "said"),
    [
        (CHAIN, "", "site_certificate_key is not set"),
        ("", KEY, "site_certificate_chain is not set"),
        ("not one", KEY, "site_certificate_chain is no certificate"),
        (CHAIN, "not one", "site_certificate_key is no PEM key"),
        (CHAIN, OTHER_KEY, "does not belong to the first certificate"),
        (OTHER_CHAIN + CHAIN, KEY, "does not belong to the first certificate"),
        (*pair(DOMAINS[:1]), "is not for www.library.example.org, only for library.example.org"),
        (*pair(["*.example.org"]), "is not for www.library.example.org"),
        (*pair(DOMAINS, days_gone=90, days_left=-1), "expired on "),
        (*pair(DOMAINS, days_gone=-1), "is not valid before "),
    ],
)
def test_a_certificate_that_does_not(chain: str, key: str, said: str) -> None:
    (finding,) = certificates.certificate_findings(chain, key, DOMAINS)
    assert said in finding
    assert not key or key not in finding


def test_the_preflight_judges_what_the_inventory_brings() -> None:
    site = {"site_certificate_chain": CHAIN, "site_certificate_key": OTHER_KEY}
    groups = {"app": ["web1"], "db": ["web1"]}
    changes = {"__preflight_defined": [], "preflight_required": {"a": ""}, "groups": groups}
    findings = value("preflight", "__preflight_inventory_findings", **changes, **site)
    assert any("does not belong" in finding for finding in findings)


@pytest.mark.parametrize(
    ("gone", "left", "soon"),
    [(0, 90, False), (59, 31, False), (61, 29, True), (3, 3, False), (5, 1, True), (91, -1, True)],
)
def test_renewal_is_due_with_a_third_of_the_life_left(gone: int, left: int, soon: bool) -> None:
    """Whatever the lifetime: 90 days, 6 days, over."""
    certificate, _ = pair(DOMAINS, days_gone=gone, days_left=left)
    assert certbot.certbot_lineage(f"server = x\n{certificate}")["ends_soon"] is soon


def test_a_certificate_of_one_s_own_is_nobody_s_to_renew() -> None:
    own = {"site_certificate_chain": CHAIN, "site_certificate_key": KEY}
    assert value("acme", "acme_wanted", **own) is False
    assert "renewal-hooks" not in value("tls", "__tls_hook", **own)
    assert value("acme", "acme_wanted") is True
    assert value("tls", "__tls_hook") == value("acme", "__acme_hook")


LIVE = "  /etc/letsencrypt/live/{name}/fullchain.pem (failure)\n"


def alert(folder: Path, said: str) -> subprocess.CompletedProcess[str]:
    """What the site's alert tells when certbot has said something and failed."""
    (folder / "live").mkdir()
    (folder / "live" / "fullchain.pem").write_text(CHAIN)
    facts = {"tls_dir": str(folder), "tls_alert_command": f"cat >{folder / 'told'}"}
    script = folder / "alert"
    script.write_text(render("tls", "alert.j2", **facts))
    return subprocess.run(["sh", str(script)], input=said, capture_output=True, text=True)


@pytest.mark.parametrize(
    "said",
    ["", "Temporary failure in name resolution\n", LIVE.format(name="locallibrary")],
    ids=["nothing", "no certificate is named", "its own"],
)
def test_a_failed_renewal_is_told_to_whom_the_inventory_names(tmp_path: Path, said: str) -> None:
    done = alert(tmp_path, said)
    told = tmp_path / "told"
    assert done.returncode == 0, done
    # systemd takes the 3 for the priority of an error.
    assert done.stdout == f"<3>{told.read_text()}"
    assert "The certificate of library.example.org was not renewed; it ends on" in done.stdout


def test_the_certificate_of_another_site_is_that_site_s_to_tell_of(tmp_path: Path) -> None:
    said = LIVE.format(name="shop") + LIVE.format(name="locallibrary2")
    done = alert(tmp_path, said)
    assert (done.returncode, done.stdout) == (0, "")
    assert not (tmp_path / "told").exists()


def selfsigned(folder: Path, word: str = "make") -> str:
    script = ROOT / "roles" / "tls" / "files" / "selfsigned"
    argv = ("sh", "-c", script.read_text(), "sh", str(folder), word)
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl here")
def test_a_self_signed_certificate_is_made_until_there_is_another(tmp_path: Path) -> None:
    request, live = tmp_path / "selfsigned" / "request.cnf", tmp_path / "live"
    request.parent.mkdir()
    domains = ["a" * 63 + ".example.org", "www.example.org"]
    request.write_text(render("tls", "request.cnf.j2", tls_domains=domains))
    assert selfsigned(tmp_path, "look")
    assert not live.is_symlink()
    assert selfsigned(tmp_path)
    assert selfsigned(tmp_path) == ""
    chain, key = (live / name for name in ("fullchain.pem", "privkey.pem"))
    found = certificates.certificate_findings(chain.read_text(), key.read_text(), domains)
    assert found == []
    assert (chain.stat().st_mode & 0o777, key.stat().st_mode & 0o777) == (0o644, 0o600)
    # Other names.
    os.utime(chain, (0, 0))
    assert selfsigned(tmp_path)
    live.unlink()
    live.symlink_to("issued.1")
    os.utime(tmp_path / "selfsigned" / "fullchain.pem", (0, 0))
    assert selfsigned(tmp_path) == ""
