"""The DevSec Linux baseline 2.10, control by control.

The host is read once, by one command; every control judges what that said. What a container's
kernel does not let it set, and what only a kernel of its own has, is judged by the configuration:
the baseline itself does not ask containers for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from audits.baselines.baseline import Baseline
from audits.baselines.linux_facts import CRON, Facts, facts

BASELINE = Baseline("linux", "DevSec Linux baseline 2.10")

# What is setuid or setgid here is one hole more, and nothing on a server needs it.
UNWANTED_SUID = {
    *("/usr/bin/rcp", "/usr/bin/rlogin", "/usr/bin/rsh", "/usr/bin/lockfile", "/usr/bin/mtr"),
    *("/usr/bin/mail-lock", "/usr/bin/mail-unlock", "/usr/bin/mail-touchlock"),
    *("/usr/bin/dotlockfile", "/usr/bin/arping", "/usr/sbin/arping", "/usr/sbin/uuidd"),
    *("/usr/sbin/usernetctl", "/usr/sbin/userisdnctl", "/usr/sbin/pppd", "/sbin/netreport"),
    *("/usr/libexec/openssh/ssh-keysign", "/usr/lib/openssh/ssh-keysign", "/usr/lib/pt_chown"),
    *("/usr/lib/evolution/camel-lock-helper-1.2", "/usr/lib/eject/dmcrypt-get-device"),
    "/usr/lib/mc/cons.saver",
}
BLOCKED_FILE_SYSTEMS = ("cramfs", "freevxfs", "jffs2", "hfs", "hfsplus", "squashfs", "udf", "vfat")


def control(id: str, title: str) -> Callable[[Callable[[Facts], Iterator[str]]], None]:
    """Add the decorated function, which judges the facts, as a control."""

    def add(judge: Callable[[Facts], Iterator[str]]) -> None:
        BASELINE.control(id, title)(lambda subject: judge(facts(subject)))

    return add


@control("os-01", "No host is trusted by its name")
def _(host: Facts) -> Iterator[str]:
    if "/etc/hosts.equiv" in host.files:
        yield "/etc/hosts.equiv exists"


@control("os-02", "/etc/shadow is root's, and read by its group alone")
def _(host: Facts) -> Iterator[str]:
    file = host.files["/etc/shadow"]
    if (file.owner, file.group, file.mode, file.kind) != ("root", "shadow", 0o640, "regular file"):
        yield f"/etc/shadow is {file}"


@control("os-03", "/etc/passwd is root's, and read by all")
def _(host: Facts) -> Iterator[str]:
    file = host.files["/etc/passwd"]
    if (file.owner, file.group, file.mode, file.kind) != ("root", "root", 0o644, "regular file"):
        yield f"/etc/passwd is {file}"


@control("os-03b", "No password hash stands in /etc/passwd")
def _(host: Facts) -> Iterator[str]:
    for line in host["passwd"]:
        name, password = line.split(":")[:2]
        if password not in ("x", "*"):
            yield f"{name} has one"


@control("os-04", "The current folder is not in PATH")
def _(host: Facts) -> Iterator[str]:
    if {"", "."} & set(host["path"][0].split(":")):
        yield f"PATH is {host['path'][0]}"


@control("os-05", "login.defs sets a narrow umask, ageing passwords and few retries")
def _(host: Facts) -> Iterator[str]:
    file = host.files["/etc/login.defs"]
    if (file.owner, file.group, file.mode) != ("root", "root", 0o644):
        yield f"/etc/login.defs is {file}"
    settings = host.settings("login")
    paths = {
        "ENV_SUPATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "ENV_PATH": "/usr/local/bin:/usr/bin:/bin",
    }
    for name, path in paths.items():
        if path not in settings.get(name, ""):
            yield f"{name} is {settings.get(name)}"
    exact = {"UMASK": "027", "PASS_MAX_DAYS": "60", "PASS_MIN_DAYS": "7", "PASS_WARN_AGE": "7"}
    exact |= {"LOGIN_RETRIES": "5", "LOGIN_TIMEOUT": "60", "UID_MIN": "1000", "GID_MIN": "1000"}
    for name, value in exact.items():
        if settings.get(name) != value:
            yield f"{name} is {settings.get(name)}, not {value}"


@control("os-05b", "login.defs as Red Hat has it: asked of Red Hat alone")
def _(host: Facts) -> Iterator[str]:
    yield from ()


@control("os-06", "No program of the black list is setuid or setgid")
def _(host: Facts) -> Iterator[str]:
    yield from sorted(UNWANTED_SUID & set(host["suid"]))


@control("os-07", "No two users share a uid, no two groups a gid")
def _(host: Facts) -> Iterator[str]:
    for part in ("passwd", "group"):
        ids = [line.split(":")[2] for line in host[part]]
        for twice in sorted({id for id in ids if ids.count(id) > 1}):
            yield f"{twice} is in /etc/{part} more than once"


@control("os-09", "Nobody has a .rhosts or a .netrc")
def _(host: Facts) -> Iterator[str]:
    yield from host["rhosts"]


@control("os-10", "File systems that nothing here uses cannot be loaded")
def _(host: Facts) -> Iterator[str]:
    blocked = {
        line.split()[1] for line in host["modules"] if re.match(r"install \S+ /bin/true", line)
    }
    for name in BLOCKED_FILE_SYSTEMS:
        if name not in blocked and not (name == "vfat" and host["uefi"]):
            yield f"{name} can be loaded"


@control("os-11", "/var/log is root's")
def _(host: Facts) -> Iterator[str]:
    folder = host.files["/var/log"]
    if folder.owner != "root" or folder.group not in ("root", "syslog", "adm"):
        yield f"/var/log is {folder}"


@control("os-12", "The kernel knows of no open hole of the processor")
def _(host: Facts) -> Iterator[str]:
    # The processor is that of a container's host.
    if not host.container:
        yield from (line for line in host["holes"] if "vulnerable" in line.lower())


@control("os-13", "What cron runs is root's alone to read and write")
def _(host: Facts) -> Iterator[str]:
    for path in CRON:
        file = host.files.get(path)
        if file and (file.owner != "root" or file.mode & 0o066):
            yield f"{path} is {file}"


def lacking(host: Facts, option: str, *paths: str) -> Iterator[str]:
    for path in paths:
        if option not in host.mounts.get(path, {option}):
            yield f"{path} is mounted without {option}"


@control("os-14", "Nothing can be run from where others write")
def _(host: Facts) -> Iterator[str]:
    yield from lacking(host, "noexec", "/boot", "/dev", "/dev/shm", "/tmp", "/var/log")
    yield from lacking(host, "noexec", "/var/log/audit", "/var/tmp")


@control("os-15", "No setuid program works where others write")
def _(host: Facts) -> Iterator[str]:
    yield from lacking(host, "nosuid", "/boot", "/dev", "/dev/shm", "/home", "/run", "/tmp", "/var")
    yield from lacking(host, "nosuid", "/var/log", "/var/log/audit", "/var/tmp")


@control("os-16", "No device works where others write")
def _(host: Facts) -> Iterator[str]:
    yield from lacking(host, "nodev", "/boot", "/dev/shm", "/home", "/run", "/tmp", "/var")
    yield from lacking(host, "nodev", "/var/log", "/var/log/audit", "/var/tmp")


def absent(id: str, title: str, *packages: str) -> None:
    """A control: none of the packages is installed."""

    @control(id, title)
    def _(host: Facts) -> Iterator[str]:
        yield from (f"{name} is installed" for name in packages if name in host.installed)


absent("package-01", "No inetd", "inetd", "xinetd", "openbsd-inetd", "inetutils-inetd")
absent("package-02", "No telnet server", "telnetd", "inetutils-telnetd", "telnetd-ssl")
absent("package-03", "No rsh server", "rsh-server", "rsh-redone-server")
absent("package-05", "No NIS server", "ypserv", "nis")
absent("package-06", "No TFTP server", "tftp-server", "tftpd", "tftpd-hpa", "atftpd")


@control("package-08", "auditd records, and keeps what it recorded")
def _(host: Facts) -> Iterator[str]:
    # The kernel has one audit trail: that of a container's host.
    if host.container:
        return
    if "auditd" not in host.installed:
        yield "auditd is not installed"
    wanted = {"log_file": "/var/log/audit/audit.log", "log_format": "raw", "space_left": "75"}
    wanted |= {"space_left_action": "syslog", "action_mail_acct": "root", "admin_space_left": "50"}
    for action in ("admin_space_left_action", "disk_full_action", "disk_error_action"):
        wanted[action] = "suspend"
    settings = {name: value.lower() for name, value in host.settings("auditd").items()}
    for name, value in wanted.items():
        if settings.get(name) != value:
            yield f"{name} is {settings.get(name)}, not {value}"
    if settings.get("flush") not in ("incremental", "incremental_async"):
        yield f"flush is {settings.get('flush')}"
    # The baseline knows keep_logs alone, which would fill the disk that the database writes to.
    if settings.get("max_log_file_action") not in ("keep_logs", "rotate"):
        yield f"max_log_file_action is {settings.get('max_log_file_action')}"


absent("package-09", "No prelink", "prelink")

ALL_AND_DEFAULT = ("all", "default")


def ipv4(name: str, value: str, *scopes: str) -> dict[str, str]:
    return {f"net.ipv4.conf.{scope}.{name}": value for scope in scopes or ALL_AND_DEFAULT}


def ipv6(name: str, value: str, *scopes: str) -> dict[str, str]:
    return {f"net.ipv6.conf.{scope}.{name}": value for scope in scopes or ALL_AND_DEFAULT}


# Id, title, and the values that are right, apart by a bar.
SYSCTLS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("01", "IPv4 is not forwarded", {"net.ipv4.ip_forward": "0"} | ipv4("forwarding", "0", "all")),
    ("02", "Packets come from where their sender is", ipv4("rp_filter", "1")),
    ("03", "Bogus ICMP errors", {"net.ipv4.icmp_ignore_bogus_error_responses": "1"}),
    ("04", "Pings to all", {"net.ipv4.icmp_echo_ignore_broadcasts": "1"}),
    ("05", "Rate of ICMP", {"net.ipv4.icmp_ratelimit": "100"}),
    ("06", "What of ICMP has a rate", {"net.ipv4.icmp_ratemask": "88089"}),
    ("07", "TCP timestamps", {"net.ipv4.tcp_timestamps": "0"}),
    ("08", "Which ARP questions are answered", ipv4("arp_ignore", "1|2", "all")),
    ("09", "Which address ARP announces", ipv4("arp_announce", "2", "all")),
    ("10", "Assassination of TIME-WAIT (RFC 1337)", {"net.ipv4.tcp_rfc1337": "1"}),
    ("11", "SYN floods", {"net.ipv4.tcp_syncookies": "1"}),
    ("12", "Shared media (RFC 1620)", ipv4("shared_media", "1")),
    (
        "13",
        "No routes chosen by the sender",
        ipv4("accept_source_route", "0") | ipv6("accept_source_route", "0"),
    ),
    ("14", "No IPv4 redirects taken", ipv4("accept_redirects", "0")),
    ("15", "No redirects of gateways taken", ipv4("secure_redirects", "0")),
    ("16", "No redirects sent", ipv4("send_redirects", "0")),
    ("17", "Impossible addresses are logged", ipv4("log_martians", "1")),
    ("19", "IPv6 is not forwarded", ipv6("forwarding", "0", "all")),
    ("20", "No IPv6 redirects taken", ipv6("accept_redirects", "0")),
    ("21", "No router is asked for", ipv6("router_solicitations", "0")),
    ("22", "No router's preference counts", ipv6("accept_ra_rtr_pref", "0", "default")),
    ("23", "No router's prefix counts", ipv6("accept_ra_pinfo", "0", "default")),
    ("24", "No router becomes the default", ipv6("accept_ra_defrtr", "0", "default")),
    ("25", "No router advertisements taken", ipv6("accept_ra", "0")),
    ("26", "IPv6 addresses are not made up", ipv6("autoconf", "0")),
    ("27", "Nobody is asked for a duplicate", ipv6("dad_transmits", "0", "default")),
    ("28", "One global IPv6 address", ipv6("max_addresses", "1", "default")),
    ("29", "Modules can be loaded", {"kernel.modules_disabled": "0|None"}),
    ("30", "No magic SysRq", {"kernel.sysrq": "0"}),
    ("31a", "No core dumps of setuid programs", {"fs.suid_dumpable": "0|2"}),
)


def sysctl(id: str, title: str, wanted: dict[str, str]) -> None:
    """A control: each setting has one of its values."""

    @control(f"sysctl-{id}", title)
    def _(host: Facts) -> Iterator[str]:
        for name, values in wanted.items():
            # A kernel without the setting, because it has no modules, says nothing: None.
            found = str(host.sysctls.get(name))
            if found not in values.split("|"):
                yield f"{name} is {found}, not {values.replace('|', ' or ')}"


for row in SYSCTLS:
    sysctl(*row)


@control("sysctl-31b", "Core dumps, where setuid programs make any, go to a full path")
def _(host: Facts) -> Iterator[str]:
    pattern = host.sysctls.get("kernel.core_pattern", "")
    if host.sysctls.get("fs.suid_dumpable") == "2" and not pattern.lstrip("|").startswith("/"):
        yield f"kernel.core_pattern is {pattern}"


sysctl("32", "Addresses are random", {"kernel.randomize_va_space": "2"})


@control("sysctl-33", "The processor runs no data")
def _(host: Facts) -> Iterator[str]:
    if "nx" not in " ".join(host["cpu"]).split():
        yield "the processor has no NX"


sysctl(
    "34",
    "Links, pipes and files of others are not followed",
    {
        "fs.protected_fifos": "1|2",
        "fs.protected_hardlinks": "1",
        "fs.protected_regular": "2",
        "fs.protected_symlinks": "1",
    },
)
sysctl("35", "ptrace is root's", {"kernel.yama.ptrace_scope": "2|3"})
