"""The pure parts of a droplet: its name, argv, what its supervisor hears, groups, DNS."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from lab import cgroups, droplets, host, paths, services, supervisor
from lab.droplets import Droplet
from lab.errors import LabError
from lab.supervisor import State

DROPLET = Droplet("dev", "trixie", "10.87.0.20", Path("/image"))


@pytest.mark.parametrize("name", ["library", "a", "dev-13", "a" * 31])
def test_good_names(name: str) -> None:
    droplets.check_name(name)


@pytest.mark.parametrize("name", ["", "13", "Dev", "dev-", "a" * 32, "a.b", "../x", "a b", "dev\n"])
def test_bad_names_are_refused_before_anything_is_touched(name: str) -> None:
    with pytest.raises(LabError, match="no name for a droplet"):
        droplets.check_name(name)


def test_ssh_checks_the_host_key_against_the_labs_list_alone() -> None:
    argv = DROPLET.ssh("uptime")
    assert "StrictHostKeyChecking=yes" in argv
    assert f"UserKnownHostsFile={paths.KNOWN_HOSTS}" in argv
    assert "GlobalKnownHostsFile=/dev/null" in argv
    assert argv[-3:] == ("root@10.87.0.20", "--", "uptime")


def test_a_shell_needs_no_command_and_any_user_may_log_in() -> None:
    assert DROPLET.ssh(user="deploy")[-1] == "deploy@10.87.0.20"


def test_nspawn_boots_the_tree_in_its_namespace_and_tells_when_it_is_up() -> None:
    argv = supervisor.nspawn("dev", Path("/disk"))
    assert argv[0] == "systemd-nspawn"
    assert {
        "--directory=/disk",
        "--boot",
        "--register=no",
        "--keep-unit",
        "--notify-ready=yes",
        "--network-namespace-path=/run/netns/slipway-dev",
        "--capability=CAP_NET_ADMIN",
        "--machine=dev",
    } <= set(argv)


def test_the_supervisor_hears_the_leader_and_then_ready() -> None:
    state = supervisor.heard(f"STATUS=Running\nX_NSPAWN_LEADER_PID={os.getpid()}", State("booting"))
    assert state.leader
    assert state.leader.pid == os.getpid()
    assert state.state == "booting"
    assert supervisor.heard("READY=1\n", state).state == "running"


def test_the_state_survives_its_file_and_a_torn_file_is_off(tmp_path: Path) -> None:
    state = supervisor.heard(f"READY=1\nX_NSPAWN_LEADER_PID={os.getpid()}", State("booting", 3))
    state.save(tmp_path / "state")
    assert State.load(tmp_path / "state") == state
    (tmp_path / "torn").write_text('{"state": "run')
    assert State.load(tmp_path / "torn") == State()


def test_mounted_hierarchies_are_found_by_controller() -> None:
    mountinfo = (
        "28 27 0:25 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
        "29 27 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "30 27 0:27 / /sys/fs/cgroup/cpu rw shared:4 - cgroup cgroup rw,cpu,cpuacct\n"
        "31 27 0:28 / /home rw - ext4 /dev/vda rw\n"
    )
    found = cgroups.mounted(mountinfo)
    assert found[""] == Path("/sys/fs/cgroup/unified")
    assert found["memory"] == Path("/sys/fs/cgroup/memory")
    assert found["cpuacct"] == Path("/sys/fs/cgroup/cpu")


def test_groups_lie_below_the_callers() -> None:
    own = "4:memory:/session/7\n3:cpuset:/\n0::/\n"
    points = {"memory": Path("/cg/memory"), "cpuset": Path("/cg/cpuset"), "": Path("/cg/v2")}
    assert cgroups.groups("dev", own, points) == [
        Path("/cg/memory/session/7/slipway-dev"),
        Path("/cg/v2/slipway-dev"),
    ]


def test_dns_knows_each_droplet_and_listens_on_the_bridge_only() -> None:
    conf = services.dns_conf({"library": "10.87.0.10", "dev": "10.87.0.11"})
    assert "address=/library.slipway.test/10.87.0.10\n" in conf
    assert "address=/dev.slipway.test/10.87.0.11\n" in conf
    assert "listen-address=10.87.0.1\nbind-interfaces\n" in conf


def test_a_shell_reads_the_same_packages_as_the_lab() -> None:
    text = paths.PACKAGES.read_text()
    shell = subprocess.run(
        ["grep", "-v", "^#", str(paths.PACKAGES)], capture_output=True, text=True, check=True
    )
    assert shell.stdout.split() == host.packages(text)
    assert "systemd-container" in host.packages(text)


def test_a_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(host, "missing_packages", lambda: ["pebble", "mmdebstrap"])
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    reason = host.can_run()
    assert reason
    assert "apt-get install --no-install-recommends pebble mmdebstrap" in reason


def test_without_root_the_lab_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "needs root" in (host.can_run() or "")


def test_elsewhere_the_lab_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert "Darwin" in (host.can_run() or "")
