"""The local droplet is a real host, comes back from everything, and leaves nothing behind.

Its droplets have names of their own, so those of bin/demo go on undisturbed. The test of the last
droplet's end runs this file as a program in namespaces of its own: a lab beside the lab.
"""

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import droplets, faults, files, host, image, network, paths, services
from lab.droplets import Droplet
from lab.errors import LabError
from lab.process import Identity, live, wait_for
from tests.lab.preparations import claim, release

pytestmark = pytest.mark.lab

PREFIX = "trial-"
NAMES = [
    f"{PREFIX}{name}"
    for name in ("trixie", "bookworm", "quick", "umask", "twin-a", "twin-b", "gone")
]
WARM_SECONDS = 15.0
# A lab in these namespaces sees nothing of the one on the host, and dies with its first process.
APART = (
    *("unshare", "--net", "--mount", "--propagation", "private"),
    *("--pid", "--mount-proc", "--fork", "--kill-child"),
)


@pytest.fixture(scope="module", autouse=True)
def claims() -> Iterator[None]:
    """No other run has these names, and bin/test knows them should this process be killed."""
    for name in NAMES:
        claim(name)
    yield
    for name in NAMES:
        release(name)


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def droplet(request: pytest.FixtureRequest) -> Iterator[Droplet]:
    """A droplet of each suite, new for this module."""
    name = f"{PREFIX}{request.param}"
    droplets.down(name)
    image.ensure(request.param)
    yield droplets.up(name, request.param)
    droplets.down(name)


def tasks(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run lab.* tasks as a user does."""
    program = "from invoke import Program; from lab.tasks import namespace; "
    return subprocess.run(
        [sys.executable, "-c", program + "Program(namespace=namespace).run()", *arguments],
        cwd=paths.PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )


def traces(name: str) -> list[str]:
    """Everything on this host that a droplet of that name leaves while it exists."""
    found = [f"mount {point}" for point, _, source in host.mounts() if name in f"{point} {source}"]
    found += [f"namespace {one}" for one in network.namespaces() if one == name]
    found += [f"process {one.pid}" for one in live(lambda argv: name in " ".join(argv))]
    found += [f"group {path}" for path in groups() if path.name == f"slipway-{name}"]
    found += [f"file {path}" for path in paths.STATE.glob(f"[!l]*/{name}*")]
    found += ["host key"] * (files.read(paths.KNOWN_HOSTS) or "").count(name)
    found += ["DNS name"] * (files.read(services.DNS_CONF) or "").count(name)
    return found


def groups() -> list[Path]:
    points = {point for point, kind, _ in host.mounts() if kind in ("cgroup", "cgroup2")}
    return [
        Path(folder)
        for point in points
        for folder, _, _ in os.walk(point)
        if Path(folder).name.startswith("slipway-")
    ]


def answers(droplet: Droplet) -> bool:
    return droplet.run("true", warn=True).ok


def test_a_warm_image_gives_a_droplet_within_seconds() -> None:
    name = f"{PREFIX}quick"
    droplets.down(name)
    image.ensure("trixie")
    begun = time.monotonic()
    try:
        quick = droplets.up(name)
        assert answers(quick)
        assert time.monotonic() - begun < WARM_SECONDS
    finally:
        droplets.down(name)
    assert traces(name) == []


def test_a_strict_umask_of_the_caller_stays_outside() -> None:
    name = f"{PREFIX}umask"
    droplets.down(name)
    before = os.umask(0o077)
    try:
        strict = droplets.up(name)
        modes = strict.run("stat --format=%a / /etc /etc/hosts /var/cache/apt /root /root/.ssh")
        assert modes.stdout.split() == ["755", "755", "644", "755", "700", "700"]
        assert strict.run("systemctl is-system-running --wait").stdout.strip() == "running"
    finally:
        os.umask(before)
        droplets.down(name)


def test_real_systemd_is_process_1_and_all_is_well(droplet: Droplet) -> None:
    assert droplet.run("cat /proc/1/comm").stdout.strip() == "systemd"
    assert droplet.run("systemctl is-system-running --wait").stdout.strip() == "running"
    assert droplet.run("systemctl --failed --no-legend").stdout.strip() == ""


def test_it_is_the_suite_that_was_asked_for(droplet: Droplet) -> None:
    assert f"VERSION_CODENAME={droplet.suite}\n" in droplet.run("cat /etc/os-release").stdout
    with pytest.raises(LabError, match=r"lab\.down"):
        droplets.up(droplet.name, "bookworm" if droplet.suite == "trixie" else "trixie")


def test_a_wrong_host_key_is_refused(droplet: Droplet, tmp_path: Path) -> None:
    assert answers(droplet)
    wrong = tmp_path / "known_hosts"
    key = Path(f"{paths.SSH_KEY}.pub").read_text().split()[1]
    wrong.write_text(f"{droplet.address} ssh-ed25519 {key}\n")
    words = [word.replace(str(paths.KNOWN_HOSTS), str(wrong)) for word in droplet.ssh("true")]
    said = subprocess.run(words, capture_output=True, text=True, check=False)
    assert said.returncode == 255
    assert "Host key verification failed" in said.stderr


def test_no_two_droplets_share_a_host_key(droplet: Droplet) -> None:
    lines = (files.read(paths.KNOWN_HOSTS) or "").splitlines()
    mine = [line.split()[2] for line in lines if line.startswith(f"{droplet.address},")]
    assert len(mine) >= 3
    assert [sum(key in line for line in lines) for key in mine] == [1] * len(mine)


def test_apt_installs_at_once_and_others_need_not_download_it_again(droplet: Droplet) -> None:
    droplet.run("apt-get install --yes --no-install-recommends hello")
    image.harvest(droplet.suite, droplet.paths.archives)
    (package,) = droplet.paths.archives.glob("hello_*.deb")
    assert (paths.ARCHIVES / droplet.suite / package.name).exists()


def test_names_resolve_inside(droplet: Droplet) -> None:
    for name in (f"www.{droplet.host}", f"a.b.{droplet.host}"):
        assert droplet.run(f"getent ahostsv4 {name}").stdout.split()[0] == droplet.address
    assert droplet.run(f"getent hosts nobody.{network.DOMAIN}", warn=True).code == 2
    sources = droplet.run("cat /etc/apt/sources.list.d/*.sources").stdout
    (outside,) = re.findall(r"^URIs: https?://([^/]+)", sources, re.MULTILINE)[:1]
    assert droplet.run(f"getent hosts {outside}").ok


def test_names_resolve_while_dns_is_replaced(droplet: Droplet) -> None:
    loop = (
        f"for n in $(seq 40); do getent ahostsv4 n$n.{droplet.host} >/dev/null || echo lost; done"
    )
    with subprocess.Popen(droplet.ssh(loop), stdout=subprocess.PIPE, text=True) as asking:
        for _ in range(5):
            with files.lock("lab"):
                services.stop_dns()
                known = {one.name: one.address for one in droplets.all_droplets()}
                services.ensure_dns(known)
        said, _ = asking.communicate(timeout=120)
    assert said == ""


def test_the_acme_directory_is_there_and_its_root_is_exported(droplet: Droplet) -> None:
    context = ssl.create_default_context(cafile=str(paths.ACME_CA))
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    with opener.open(services.ACME_DIRECTORY, timeout=10) as answer:
        assert "newOrder" in json.load(answer)
    assert paths.ACME_ROOT.read_text() == services.issuing_root()
    reach = f"timeout 5 bash -c '</dev/tcp/{network.GATEWAY}/{services.ACME_PORT}'"
    assert droplet.run(reach).ok


def test_its_network_settings_are_its_own(droplet: Droplet) -> None:
    setting = Path("/proc/sys/net/ipv4/conf/all/log_martians")
    before = setting.read_text()
    droplet.run(f"echo {1 - int(before)} > {setting}")
    assert setting.read_text() == before


def ask_systemd(droplet: Droplet, verb: str) -> str:
    """What systemctl said. It asks logind, which may not be there yet when sshd answers."""
    droplet.run("systemctl is-system-running --wait", warn=True)
    return droplet.run(f"systemctl {verb}", warn=True).stderr.strip()


def test_reboot_comes_back(droplet: Droplet) -> None:
    boot = droplet.run("journalctl --list-boots --no-pager | wc -l").stdout
    droplets.reboot(droplet.name)
    assert droplet.state.state == "running"
    assert droplet.run("journalctl --list-boots --no-pager | wc -l").stdout != boot
    said = ask_systemd(droplet, "reboot")
    wait_for(lambda: droplet.state.boots > 2 and answers(droplet), 60, f"its own reboot ({said})")


def test_a_power_cut_keeps_the_disk(droplet: Droplet) -> None:
    droplet.run("echo precious > /root/kept && sync")
    droplets.kill(droplet.name)
    assert droplet.state.state == "off"
    droplets.up(droplet.name)
    assert droplet.run("cat /root/kept").stdout == "precious\n"


def test_a_droplet_that_switched_itself_off_is_started_again(droplet: Droplet) -> None:
    said = ask_systemd(droplet, "poweroff")
    wait_for(lambda: droplet.state.state == "off", 60, f"its power off ({said})")
    droplets.up(droplet.name)
    assert answers(droplet)


@pytest.mark.parametrize("victim", ["supervisor", "nspawn", "systemd"])
def test_kill_9_of_any_part_is_repaired(droplet: Droplet, victim: str) -> None:
    watch, leader = Identity.load(droplet.paths.supervisor), droplet.state.leader
    assert watch
    assert leader
    if victim == "nspawn":
        folder = f"--directory={droplet.paths.root}"
        (target,) = live(lambda argv: argv[0] == "systemd-nspawn" and folder in argv)
    else:
        target = watch if victim == "supervisor" else leader
    target.signal(signal.SIGKILL)
    wait_for(lambda: droplet.state.state in ("off", "orphaned"), 20, "the fall")
    droplets.up(droplet.name)
    assert droplet.state.state == "running"
    assert answers(droplet)
    assert not leader.alive()


def test_a_lost_pid_file_is_no_reason_for_a_second_droplet(droplet: Droplet) -> None:
    leader = droplet.state.leader
    droplet.paths.supervisor.unlink()
    droplets.up(droplet.name)
    assert answers(droplet)
    assert leader
    assert not leader.alive()


def test_a_cut_wire_and_its_repair(droplet: Droplet) -> None:
    with faults.cut_off(droplet.name):
        words = [*droplet.ssh("true")]
        words[1:1] = ["-o", "ConnectTimeout=2"]
        assert subprocess.run(words, capture_output=True, check=False).returncode == 255
    wait_for(lambda: answers(droplet), 20, "the wire")


def test_two_at_once_get_addresses_of_their_own() -> None:
    names = [f"{PREFIX}twin-{letter}" for letter in "ab"]
    program = "import sys; from lab import droplets; print(droplets.up(sys.argv[1]).address)"
    try:
        started = [
            subprocess.Popen(
                [sys.executable, "-c", program, name],
                cwd=paths.PROJECT,
                stdout=subprocess.PIPE,
                text=True,
            )
            # The first one twice: the second command waits and finds it running.
            for name in (*names, names[0])
        ]
        addresses = [process.communicate(timeout=120)[0].strip() for process in started]
        assert [process.returncode for process in started] == [0, 0, 0]
        assert addresses[0] == addresses[2] != addresses[1]
        assert all(answers(droplets.get(name)) for name in names)
    finally:
        for name in names:
            droplets.down(name)
    assert [traces(name) for name in names] == [[], []]


def test_the_tasks_speak_to_a_user(droplet: Droplet) -> None:
    rows = json.loads(tasks("list", "--json").stdout)
    (mine,) = [row for row in rows if row["name"] == droplet.name]
    assert (mine["state"], mine["address"]) == ("running", droplet.address)
    said = tasks("ssh", "--name", droplet.name, "--", "hostname", "--fqdn")
    assert said.stdout.strip() == droplet.host
    unknown = tasks("reboot", "--name", "nobody")
    assert unknown.returncode == 1
    assert "No droplet 'nobody'" in unknown.stderr
    assert "Traceback" not in unknown.stderr
    assert "--all" in tasks("down").stderr


def test_teardown_leaves_nothing_of_it_and_all_of_another(droplet: Droplet) -> None:
    def other() -> tuple[list[str], object, bool]:
        one = droplets.get(droplet.name)
        return traces(one.name), one.state.leader, answers(one)

    name = f"{PREFIX}gone"
    droplets.up(name)
    assert traces(name)
    before = other()
    droplets.down(name)
    assert traces(name) == []
    assert other() == before
    assert before[-1]


def test_the_last_droplet_takes_the_lab_with_it(tmp_path: Path) -> None:
    newest = image.ensure("trixie")
    (tmp_path / "cache/slipway/images" / newest.name).mkdir(parents=True)
    for folder in ("state", "run"):
        (tmp_path / folder).mkdir()
    hidden = [str(point) for point in (paths.NSPAWN_RUN, paths.NETNS) if host.mount_type(point)]
    script = (
        "set -e; "
        "ip link set lo up; "
        # Away with the view of the lab beside this one, here alone.
        + "".join(f"umount --recursive {point}; " for point in hidden)
        + f"mount --bind {tmp_path}/run /run; "
        f"mkdir -p {paths.STATE}; mount --bind {tmp_path}/state {paths.STATE}; "
        f"mount --bind -o ro {newest} {tmp_path}/cache/slipway/images/{newest.name}; "
        f"exec {sys.executable} {Path(__file__)}"
    )
    said = subprocess.run(
        [*APART, "sh", "-c", script],
        env={**os.environ, "XDG_CACHE_HOME": f"{tmp_path}/cache", "PYTHONPATH": str(paths.PROJECT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert said.returncode == 0, said.stdout + said.stderr


def trace_of_all() -> dict[str, object]:
    """What the lab may change on a host, as it is now."""
    rules = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True)
    return {
        "mounts": sorted(f"{point} {kind}" for point, kind, _ in host.mounts()),
        "links": sorted(network.links()),
        "tables": rules.stdout,
        "namespaces": network.namespaces(),
        "forwarding": network.forwarding(),
        "groups": sorted(path for path in groups() if path.name.startswith("slipway-alone")),
        "processes": [
            process.pid
            for process in live(lambda argv: "alone" in argv or "--machine=alone" in argv)
        ],
    }


def assert_all_is_as(before: dict[str, object]) -> None:
    now = trace_of_all()
    different = {key: (before[key], now[key]) for key in before if now[key] != before[key]}
    # Said in words, for a program's assertions are not explained by pytest.
    assert not different, different


def alone() -> None:
    """The life and end of a lab, crashes included; nothing else is in these namespaces."""
    before = trace_of_all()
    only = droplets.up("alone")
    assert trace_of_all() != before
    assert droplets.down_all() == ["alone"]
    assert_all_is_as(before)

    # A running droplet finds its way back to a bridge that somebody removed, without a restart.
    only = droplets.up("alone")
    boots = only.state
    subprocess.run(["ip", "link", "delete", network.BRIDGE], check=True)
    assert droplets.up("alone").state == boots
    assert answers(only)

    # Everything at once: supervisor, services and records lost, the bridge gone, then `up` again.
    watch, leader = Identity.load(only.paths.supervisor), only.state.leader
    assert watch
    assert leader
    watch.kill()
    services.stop_acme()
    services.stop_dns()
    subprocess.run(["ip", "link", "delete", network.BRIDGE], check=True)
    subprocess.run(["nft", "delete", "table", "ip", network.TABLE], check=True)
    only = droplets.up("alone")
    assert only.state.state == "running"
    assert answers(only)
    assert not leader.alive()

    # The record is lost as well: nothing but processes, mounts and a namespace is left.
    for record in (only.paths.record, only.paths.supervisor, only.paths.state):
        record.unlink()
    services.DNS_PID.unlink()
    services.PEBBLE_PID.unlink()
    assert droplets.down_all() == ["alone"]
    assert_all_is_as(before)
    assert droplets.down_all() == []


if __name__ == "__main__":
    alone()
