"""What must not be possible: to the deploy user, to code planted in a release, to the site."""

import json
import shlex
import socket
from collections.abc import Iterator

import pytest

from lab import network
from lab.run import run as must
from tests.lab.roles import play
from tests.lab.site import Site

APP = "locallibrary"
ROOT = f"/srv/{APP}"
UNIT = f"sudo -n /usr/local/sbin/{APP}-unit"
MANAGE = f"sudo -n /usr/local/sbin/{APP}-manage"
PLANTED = "20200101T000000-abcdef0"
METADATA = "169.254.169.254"


@pytest.fixture(scope="module")
def site(debian13: Site) -> Site:
    """The droplet with a release that is live."""
    done = debian13.invoke("deploy")
    assert done.code == 0, done
    return debian13


FORBIDDEN = [
    # become root
    "sudo -n true",
    "sudo -n -u root -g root /bin/sh -c id",
    "su -c id root </dev/null",
    "systemd-run --quiet --wait --uid=0 id",
    "systemd-run --quiet --wait --pty id",
    "machinectl shell root@ /usr/bin/id",
    "touch /etc/sudoers.d/x",
    "touch /etc/cron.d/x",
    # become the app's user, or the database's
    f"sudo -n -u {APP} id",
    f"su -c id {APP} </dev/null",
    "sudo -n -u postgres psql -c 'SELECT 1'",
    f"psql -d {APP} -c 'SELECT 1'",
    f"psql -U {APP} -d {APP} -c 'SELECT 1'",
    # start or stop other units
    "sudo -n systemctl restart nginx",
    "systemctl restart nginx",
    f"systemctl stop '{APP}-web@*'",
    f"{UNIT} restart nginx",
    f"{UNIT} start nginx.service",
    f"{UNIT} start ../../etc",
    f"{UNIT} start {PLANTED}.service",
    f"{UNIT} stop '*'",
    f"{UNIT} logs '{PLANTED}; id'",
    f"{UNIT} logs {PLANTED} --unit=ssh",
    f"{UNIT} list --all",
    f"{UNIT} restart nginx web",
    f"{UNIT} restart {PLANTED} ../nginx",
    f"{UNIT} restart \"$(readlink {ROOT}/current | xargs basename)\" '*'",
    f"{UNIT} journal \"$(readlink {ROOT}/current | xargs basename)\" '*' 0 1",
    f'{UNIT} journal "$(readlink {ROOT}/current | xargs basename)" web yesterday 1',
    f'{UNIT} journal "$(readlink {ROOT}/current | xargs basename)" web 0 --unit=ssh',
    f"{UNIT} journal '*' web 0 1",
    f'{UNIT} follow "$(readlink {ROOT}/current | xargs basename)" ssh </dev/null',
    f"{UNIT} config-changes ../../shadow ../../shadow",
    f"{UNIT} config-changes current current",
    f"{UNIT} config-changes '*' '*'",
    f'{UNIT} config-changes "$({UNIT} config)"',
    f'{UNIT} config-changes "$({UNIT} config)" "$({UNIT} config)" --verbose',
    f"{UNIT} nginx /etc/shadow",
    f"{UNIT} follow-nginx /etc/shadow </dev/null",
    "journalctl --unit=nginx --quiet | grep .",
    f"journalctl --unit='{APP}-web@*' --quiet | grep .",
    "tail /var/log/nginx/access.log",
    "pkill -u root nginx",
    f"pkill -u {APP}",
    # tricks with arguments and environment
    f"{MANAGE} --release ../../etc check",
    f"{MANAGE} --release '{PLANTED}/../..' check",
    f"{MANAGE} --release '' check",
    f"{MANAGE} --release \"$(printf '{PLANTED}\\nx')\" check",
    f"{MANAGE} --property=User=root",
    f"{MANAGE} --run --property=User=root id",
    f"{MANAGE} --run",
    f"{MANAGE} --run touch {ROOT}/current/app/x",
    f"{MANAGE} --run cat /etc/{APP}/config/current",
    f"{MANAGE} --run sudo -n true",
    f"{MANAGE} --attached --release ../../etc --run id",
    f"sudo -n LD_PRELOAD=/tmp/x.so {UNIT.removeprefix('sudo -n ')} list",
    f"sudo -n PATH=/tmp {UNIT.removeprefix('sudo -n ')} list",
    f"BASH_ENV=/tmp/x sudo -n --preserve-env=BASH_ENV {UNIT.removeprefix('sudo -n ')} list",
    f"sudo -n --chdir=/tmp {UNIT.removeprefix('sudo -n ')} list",
    # read secrets
    f"cat /etc/{APP}/config/current",
    f"ls /etc/{APP}/config",
    f"cat /etc/{APP}/releases/*.env",
    f"cat /etc/ssl/{APP}/live/privkey.pem",
    "cat /etc/ssh/ssh_host_ed25519_key",
    "cat /etc/shadow",
    "cat /var/log/nginx/access.log",
    "ls /var/lib/postgresql/*/main",
    f"cat /proc/$(pgrep -o -u {APP})/environ",
    # write outside its folders
    "touch /srv/x",
    f"touch {ROOT}/media/x",
    f"touch /etc/{APP}/releases/x",
    f"touch /run/{APP}/x",
    "touch /etc/nginx/x",
    f"touch /usr/local/sbin/{APP}-unit",
    "touch /usr/local/sbin/slipway-guard",
    "touch /etc/systemd/system/x.service",
    "touch /var/lib/slipway-guard/x",
    # the firewall and the bans
    "/usr/sbin/nft list ruleset",
    "fail2ban-client unban --all",
]


@pytest.mark.parametrize("command", FORBIDDEN)
def test_what_the_deploy_user_must_not_do(site: Site, command: str) -> None:
    done = site.ssh(command, user="deploy")
    assert done.code != 0, done


@pytest.fixture
def planted(site: Site) -> Iterator[str]:
    """A folder under releases/ that the deploy user made by hand; gone after the test."""
    folder = f"{ROOT}/releases/{PLANTED}"
    done = site.ssh(f"umask 022; mkdir -p {folder}/app {folder}/bin", user="deploy")
    assert done.code == 0, done
    yield folder
    site.ask(f"/usr/local/sbin/{APP}-unit stop {PLANTED}")
    site.ask(f"rm -rf {folder} {ROOT}/media/whoami; /usr/local/sbin/{APP}-unit forget {PLANTED}")


def test_any_program_runs_as_the_site_behind_its_walls(site: Site) -> None:
    done = site.ssh(f"{MANAGE} --run sh -c 'id -un; ls /srv; echo $HOME'", user="deploy")
    assert done.stdout.split()[:2] == [APP, APP], done
    # The words of a command are its own: none becomes an option of systemd-run.
    done = site.ssh(f"{MANAGE} --run --uid=0 id", user="deploy")
    assert (done.code, done.stdout) == (127, ""), done


def test_the_log_of_another_site_is_not_handed_out(site: Site) -> None:
    """A visitor who writes this site's name into a request to another one changes nothing."""
    log = "/var/log/nginx/access.log"
    ours, theirs = "a" * 32, "b" * 32
    line = '192.0.2.1 [2026-01-01T00:00:00Z] "GET /{path} HTTP/1.1" 200 1 0.1s {id} {name} - "-"'
    trick = f"x 200 1 0.1s {theirs} {site.domain}"
    lines = [
        line.format(path="", id=ours, name=site.domain),
        line.format(path=trick, id=theirs, name="other.example"),
        line.format(path="", id=theirs, name=f"{site.domain}.other.example"),
    ]
    for text in lines:
        site.ask(f"echo {shlex.quote(text)} >> {log}")
    told = site.ssh(f"{UNIT} nginx", user="deploy")
    assert told.code == 0, told
    assert ours in told.stdout
    assert theirs not in told.stdout


def test_config_vars_that_differ_are_named_and_no_value_is_handed_out(site: Site) -> None:
    """A key of many lines, one of which looks like a config var of its own."""
    key = '-----BEGIN KEY-----\nCANARY1="canary2"\ncanary3=\n-----END KEY-----\n'
    old = site.ssh(f"{UNIT} config", user="deploy").stdout.strip()
    try:
        assert play(site, ["app"], app_config_vars={"TLS_KEY": key}).code == 0
        new = site.ssh(f"{UNIT} config", user="deploy").stdout.strip()
        assert "canary3" in site.ask(f"cat /etc/{APP}/config/{new}.env")
        told = site.ssh(f"{UNIT} config-changes {old} {new}", user="deploy")
        assert (told.code, told.stdout, told.stderr) == (0, "added TLS_KEY\n", ""), told
    finally:
        assert play(site, ["app"]).code == 0


# What a release would do if it could.
PROGRAM = f"""#!/bin/sh
id -un > {ROOT}/media/whoami
touch /etc/cron.d/planted {ROOT}/planted
"""


def test_a_planted_release_runs_as_the_site_and_leads_root_nowhere(
    site: Site, planted: str
) -> None:
    program = f"{planted}/bin/web"
    write = f"printf %s {shlex.quote(PROGRAM)} > {program} && chmod 755 {program}"
    done = site.ssh(f"{write} && ln -s /etc {planted}/run", user="deploy")
    assert done.code == 0, done
    site.ssh(f"{UNIT} start {PLANTED}", user="deploy")
    assert site.ask(f"cat {ROOT}/media/whoami") == APP
    there = f"ls -d /etc/web.sock /etc/cron.d/planted {ROOT}/planted 2>/dev/null || :"
    assert site.ask(there) == ""


def test_systemd_makes_sockets_where_the_deploy_user_cannot_write(site: Site) -> None:
    """It gives a socket its owner by its path, which must not become another file's by then."""
    (path,) = site.ask(
        f"systemctl list-sockets --no-legend '{APP}-web@*' | awk '{{ print $1 }}'"
    ).splitlines()
    folder = path.rpartition("/")[0]
    for writable in (folder, folder.rpartition("/")[0]):
        assert site.ask(f"stat -c '%U %a' {writable}") == "root 755"


def test_a_link_in_place_of_a_release_is_still_the_site_s_user_and_walls(
    site: Site, planted: str
) -> None:
    """The wrapper runs what it finds there as the app's user, whatever it is."""
    code = "import os; print(os.getuid(), os.path.exists('/srv/other'))"
    plant = (
        f"rm -rf {planted}; mkdir -p /tmp/elsewhere/app /tmp/elsewhere/venv/bin && "
        f"echo {shlex.quote(code)} > /tmp/elsewhere/app/manage.py && "
        f"ln -sf /usr/bin/python3 /tmp/elsewhere/venv/bin/python && ln -s /tmp/elsewhere {planted}"
    )
    assert site.ssh(plant, user="deploy").code == 0
    done = site.ssh(f"{MANAGE} --release {PLANTED} check", user="deploy")
    # /tmp of the site is another one than that of the deploy user.
    assert done.code != 0, done
    assert not done.stdout.startswith("0 "), done


def test_nobody_but_its_owner_runs_the_release_tool_as_themselves(site: Site) -> None:
    """It belongs to the deploy user: an operator who ran it would hand their sudo to them."""
    done = site.ssh(f"runuser -u nobody -- slipway {APP} releases")
    assert done.code == 64, done
    assert "sudo slipway" in done.stderr, done


# Each attempt by its name; it answers with the names of those that succeeded.
ATTEMPTS = f"""
import ctypes, json, os, socket
def connect(host, port):
    socket.create_connection((host, port), timeout=3).close()
def unshare():
    if ctypes.CDLL(None, use_errno=True).unshare(0x10000000) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
attempts = {{
    "change its code": lambda: open("{ROOT}/current/app/manage.py", "a"),
    "change its packages": lambda: open(os.path.join(os.path.dirname(json.__file__), "x"), "w"),
    "make a release": lambda: os.mkdir("{ROOT}/releases/x"),
    "switch": lambda: os.rename("{ROOT}/current", "{ROOT}/current2"),
    "write the audit log": lambda: open("{ROOT}/deploys.jsonl", "a"),
    "write to /etc": lambda: open("/etc/x", "w"),
    "write to /run": lambda: open("/run/x", "w"),
    "see another site": lambda: os.listdir("/srv/other"),
    "read another site": lambda: open("/srv/other/settings.py"),
    "read passwords": lambda: open("/etc/shadow"),
    "read its own config file": lambda: os.listdir("/etc/{APP}/config"),
    "read the certificate's key": lambda: open("/etc/ssl/{APP}/live/privkey.pem"),
    "read homes": lambda: os.listdir("/home/deploy"),
    "read root's home": lambda: os.listdir("/root"),
    "read the environment of init": lambda: open("/proc/1/environ").read(),
    "read the database's files": lambda: os.listdir("/var/lib/postgresql/17/main"),
    "become root": lambda: os.setuid(0),
    "make a namespace": unshare,
    "stop init": lambda: os.kill(1, 15),
    "make a device": lambda: os.mknod("{ROOT}/media/x", 0o60600, os.makedev(8, 0)),
    "set the user on a file": lambda: os.chmod(open("{ROOT}/media/suid", "w").name, 0o4755),
    "reach the metadata": lambda: connect("{METADATA}", 80),
    "reach the network": lambda: connect("10.87.0.1", 53),
    "reach its own host": lambda: connect("127.0.0.1", 443),
    "send packets": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
}}
done = []
for name, attempt in attempts.items():
    try:
        attempt()
    except (OSError, PermissionError):
        continue
    done.append(name)
open("{ROOT}/media/allowed", "w").write("uploads are")
os.unlink("{ROOT}/media/allowed")
print("ATTEMPTS", json.dumps([len(attempts), done]))
"""


def test_what_the_site_must_not_do(site: Site) -> None:
    """By the manage command, which has the walls of the web unit."""
    site.ask("mkdir -p /srv/other && echo SECRET=1 > /srv/other/settings.py")
    try:
        done = site.ssh(f"{MANAGE} shell -c {shlex.quote(ATTEMPTS)}", user="deploy")
    finally:
        site.ask(f"rm -rf /srv/other {ROOT}/media/suid")
    assert done.code == 0, done
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("ATTEMPTS")]
    asked, succeeded = json.loads(line.removeprefix("ATTEMPTS"))
    assert asked > 20
    assert succeeded == []


def test_what_nginx_must_not_read(site: Site) -> None:
    """It is in the site's group, which leads it to sockets, static files and uploads."""
    commands = f"ls /srv/{APP}/data", f"ls /etc/{APP}/config", f"cat /etc/{APP}/releases/*.env"
    for command in commands:
        done = site.ssh(f"runuser -u www-data -- sh -c '{command}'")
        assert done.stdout == "", done
        assert "Permission denied" in done.stderr, done


def test_the_web_unit_has_the_walls_of_the_manage_command(site: Site) -> None:
    """Its processes live where the attempts above were made: see, among all, only their own."""
    pid = site.ask(f"systemctl show -P MainPID {APP}-web@{site.release()}.service")
    assert site.ask(f"ls /proc/{pid}/root/srv") == APP
    assert site.ask(f"readlink /proc/{pid}/ns/net") != site.ask("readlink /proc/1/ns/net")


def test_the_metadata_address_answers_root_alone(site: Site) -> None:
    """A cloud's is stood in for by a server of the droplet's own."""
    serve = f"python3 -m http.server --bind {METADATA} --directory /usr/share/base-files 80"
    site.ask(f"ip address add {METADATA}/32 dev lo")
    # Port 80 of this address alone, beside Nginx's port 80 of all.
    site.ask("systemctl stop nginx")
    try:
        site.ask(f"systemd-run --quiet --collect --unit=metadata -- {serve}")
        ask = f"curl --silent --fail --max-time 5 --retry 5 --retry-connrefused http://{METADATA}/"
        assert "motd" in site.ask(ask)
        for user in (APP, "deploy"):
            refused = site.ssh(
                f"runuser -u {user} -- curl --silent --max-time 5 http://{METADATA}/"
            )
            assert refused.code == 7, refused
    finally:
        site.ssh("systemctl stop metadata")
        site.ask(f"ip address del {METADATA}/32 dev lo")
        site.ask("systemctl start nginx")


def test_the_site_reaches_what_the_inventory_lists_and_nothing_else(site: Site) -> None:
    listed, other, port = network.GATEWAY, str(network.SUBNET[9]), 14000

    def reaches(address: str) -> bool:
        code = f"import socket; socket.create_connection(({address!r}, {port}), 3)"
        return site.ssh(f"{MANAGE} shell -c {shlex.quote(code)}", user="deploy").code == 0

    assert not reaches(listed)
    must("ip", "address", "replace", f"{other}/32", "dev", network.BRIDGE)
    try:
        with socket.create_server((other, port)):
            # It is there for others than the site.
            site.ask(f"timeout 3 bash -c '</dev/tcp/{other}/{port}'")
            done = play(site, ["app"], app_outbound=[listed])
            assert done.code == 0, done
            assert reaches(listed)
            assert not reaches(other)
            done = play(site, ["app"], app_outbound=["any"])
            assert done.code == 0, done
            assert reaches(other)
    finally:
        must("ip", "address", "delete", f"{other}/32", "dev", network.BRIDGE)
        done = play(site, ["app"])
    assert done.code == 0, done
    assert not reaches(listed)
