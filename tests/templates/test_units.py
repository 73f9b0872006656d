"""The units: what the site's processes are given, and what is kept from them."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.templates.render import render

needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is not on this machine"
)


def settings(text: str) -> dict[str, list[str]]:
    """Every setting of a unit with all of its values, whatever its section."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and line[0] not in "#[":
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_service_runs_its_own_release_as_the_app() -> None:
    unit = settings(render("app", "web@.service.j2"))
    assert unit["Type"] == ["notify"]
    assert unit["User"] == unit["Group"] == ["locallibrary"]
    # Never through the link `current`: a lazy import would mix two releases.
    assert unit["WorkingDirectory"] == ["/srv/locallibrary/releases/%i/app"]
    assert unit["ExecStart"] == ["/srv/locallibrary/releases/%i/bin/web"]
    assert unit["EnvironmentFile"] == ["/etc/locallibrary/releases/%i.env"]
    assert "RELEASE_ID=%i" in unit["Environment"]
    assert unit["Restart"] == ["on-failure"]
    assert unit["OOMPolicy"] == ["continue"]


def test_service_writes_uploads_alone_and_has_no_network() -> None:
    unit = settings(render("app", "web@.service.j2"))
    assert unit["ProtectSystem"] == ["strict"]
    assert unit["BindPaths"] == ["/srv/locallibrary/media /srv/locallibrary/data"]
    assert unit["BindReadOnlyPaths"] == ["/srv/locallibrary"]
    assert unit["TemporaryFileSystem"] == ["/srv:ro,mode=0755"]
    assert unit["RestrictAddressFamilies"] == ["AF_UNIX"]
    assert unit["PrivateNetwork"] == ["yes"]
    assert unit["PrivateTmp"] == ["yes"]
    assert unit["CapabilityBoundingSet"] == [""]


def test_outbound_opens_the_network_but_not_the_cloud_s_metadata() -> None:
    unit = settings(render("app", "web@.service.j2", app_outbound=["any"]))
    assert unit["RestrictAddressFamilies"] == ["AF_UNIX AF_INET AF_INET6"]
    assert "PrivateNetwork" not in unit
    assert "169.254.0.0/16" in unit["IPAddressDeny"][0].split()


def test_write_execute_is_a_switch() -> None:
    assert "MemoryDenyWriteExecute" in settings(render("app", "web@.service.j2"))
    assert "MemoryDenyWriteExecute" not in settings(
        render("app", "web@.service.j2", app_deny_write_execute=False)
    )


def test_manage_has_the_walls_of_the_web_unit() -> None:
    service = render("app", "web@.service.j2").splitlines()
    walls = service[service.index("OOMPolicy=continue") + 1 :]
    script = render("app", "manage.j2")
    assert walls
    assert all(f"--property='{wall}'" in script for wall in walls if wall)


def test_other_processes_have_the_walls_of_the_web_unit() -> None:
    web = render("app", "web@.service.j2").splitlines()
    worker = render("app", "process@.service.j2", app_process="worker").splitlines()
    walls = web[web.index("OOMPolicy=continue") + 1 :]
    assert "ExecStart=/srv/locallibrary/releases/%i/bin/worker" in worker
    assert [wall for wall in walls if wall not in worker] == []


def test_socket_is_the_deploy_user_s_and_nginx_may_connect() -> None:
    unit = settings(render("app", "web@.socket.j2"))
    assert unit["ListenStream"] == ["/run/locallibrary/%i/web.sock"]
    assert (unit["SocketUser"], unit["SocketGroup"]) == (["deploy"], ["www-data"])
    assert unit["SocketMode"] == ["0660"]
    # A crash loop must not take the socket away.
    assert unit["TriggerLimitIntervalSec"] == ["0"]


def test_socket_path_fits_with_the_longest_name() -> None:
    unit = settings(render("app", "web@.socket.j2", site_app="a" * 32))
    path = unit["ListenStream"][0].replace("%i", "20260801T101112-0123456789ab")
    assert len(path) <= 107


def test_postgres_comes_back_by_itself() -> None:
    unit = configparser.ConfigParser()
    unit.read_string(render("postgres", "restart.conf.j2"))
    assert unit["Service"]["Restart"] == "on-failure"


@needs_systemd
@pytest.mark.parametrize(
    ("outbound", "addons"), [([], []), (["any"], []), ([], ["redis"]), (["any"], ["redis"])]
)
def test_exposure(tmp_path: Path, outbound: list[str], addons: list[str]) -> None:
    unit = tmp_path / "locallibrary-web@.service"
    unit.write_text(render("app", "web@.service.j2", app_outbound=outbound, site_addons=addons))
    (tmp_path / "locallibrary-web@.socket").write_text(render("app", "web@.socket.j2"))
    # The threshold is ten times the exposure level that the table ends with.
    threshold = 15 if outbound or addons else 5
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={threshold}", str(unit)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


@needs_systemd
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    # Programs and folders that the units name, below a folder of the test's own.
    root = tmp_path / "srv"
    # The instance that systemd-analyze makes up: "i" on Debian 12, "test_instance" on 13.
    for instance in ("i", "test_instance"):
        web = root / "releases" / instance / "bin" / "web"
        web.parent.mkdir(parents=True)
        web.write_text("#!/bin/sh\n")
        web.chmod(0o755)
    names = ("web@.service", "web@.socket", "current.service")
    files = []
    for name in names:
        text = render("app", f"{name}.j2", site_root=str(root))
        file = tmp_path / f"locallibrary-{name}"
        file.write_text(text.replace("/usr/local/sbin/locallibrary-unit", "/bin/true"))
        files.append(str(file))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *files],
        capture_output=True,
        text=True,
    )
    complaints = [line for line in done.stderr.splitlines() if "locallibrary" in line]
    assert complaints == []
