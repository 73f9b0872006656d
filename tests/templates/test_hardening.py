"""Settings changed in place, sudo's defaults, the kernel's settings and the mount points."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.templates.render import FACTS, render
from tests.templates.role_files import load

with_settings = load("files/library/host_files.py").with_settings

ROUTED = {"stdout_lines": ["default via fe80::1 dev eth0 metric 100", "UEFI"]}
UNROUTED = {"stdout_lines": ["UEFI"]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("UMASK\t\t022\n", "UMASK 027\n"),
        ("# UMASK 022\nA 1\n", "# UMASK 022\nA 1\nUMASK 027\n"),
        ("UMASK 022\nA 1\nUMASK 077\n", "UMASK 027\nA 1\n"),
        ("UMASK_TOO 022\n", "UMASK_TOO 022\nUMASK 027\n"),
        ("", "UMASK 027\n"),
    ],
)
def test_a_setting_is_said_once_and_comments_stay(text: str, said: str) -> None:
    assert with_settings(text, {"UMASK": "027"}, " ") == said
    assert with_settings(said, {"UMASK": "027"}, " ") == said


def sudoers(**changes: Any) -> list[str]:
    return render("hardening", "sudoers.j2", **changes).splitlines()


def test_sudo_asks_for_a_terminal_except_of_programs(tmp_path: Path) -> None:
    lines = sudoers()
    assert "Defaults requiretty" in lines
    for who in ("%sudo", "root"):
        assert f"Defaults:{who} !requiretty, !noexec, umask=0022" in lines
    if visudo := shutil.which("visudo"):
        file = tmp_path / "sudoers"
        file.write_text("\n".join([*lines, ""]))
        assert subprocess.run([visudo, "-cf", str(file)], capture_output=True).returncode == 0


def test_whoever_runs_the_playbook_keeps_their_sudo() -> None:
    facts = {**FACTS, "env": {"SUDO_USER": "ada"}}
    assert "Defaults:ada !requiretty, !noexec, umask=0022" in sudoers(ansible_facts=facts)


def sysctls(machine: dict[str, list[str]], **changes: Any) -> list[tuple[str, str]]:
    text = render("hardening", "90-slipway.conf.j2", __hardening_machine=machine, **changes)
    rows = [line.split(" = ") for line in text.splitlines() if " = " in line]
    return [(name, value) for name, value in rows]


def test_a_droplet_that_a_router_told_its_address_goes_on_listening() -> None:
    assert ("net.ipv6.conf.all.accept_ra", "0") in sysctls(UNROUTED)
    assert not [name for name, _ in sysctls(ROUTED) if "accept_ra" in name or "autoconf" in name]


def test_forwarding_comes_first_because_it_resets_the_rest() -> None:
    names = [name for name, _ in sysctls(UNROUTED)]
    assert names[:3] == [
        "net.ipv4.conf.all.forwarding",
        "net.ipv4.ip_forward",
        "net.ipv6.conf.all.forwarding",
    ]
    assert "-net.ipv4.conf.*.accept_redirects" in names


def test_the_inventory_s_settings_win() -> None:
    changed = sysctls(UNROUTED, hardening_sysctls={"net.ipv4.ip_forward": 1})
    assert ("net.ipv4.ip_forward", "1") in changed
    unit = render("hardening", "slipway-mounts.service.j2", hardening_mounts={"/home": "nodev"})
    assert "ExecStart=/bin/mount -o remount,bind,nodev /home" in unit.splitlines()


@pytest.mark.parametrize(("said", "blocked"), [(["UEFI"], False), ([], True)])
def test_a_machine_that_starts_by_uefi_keeps_vfat(said: list[str], blocked: bool) -> None:
    machine = {"stdout_lines": said}
    text = render("hardening", "modprobe.conf.j2", __hardening_machine=machine)
    assert ("install vfat /bin/true" in text.splitlines()) is blocked
    assert "install cramfs /bin/true" in text.splitlines()
