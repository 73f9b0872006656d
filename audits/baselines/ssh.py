"""The dev-sec ssh baseline 2.x: the server's and the client's configuration, as OpenSSH reads it.

`sshd -T` and `ssh -G` answer for files, drop-ins and defaults at once; each is asked one time.
Where the baseline gives one value and a stricter one exists, the stricter one is met too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from weakref import WeakKeyDictionary

from testinfra.host import Host

from audits.baselines.baseline import Baseline
from audits.subject import Subject

BASELINE = Baseline("ssh", "dev-sec ssh baseline")

# libraries/ssh_crypto.rb of the baseline, for the newest OpenSSH it knows.
CIPHERS = {
    *("chacha20-poly1305@openssh.com", "aes256-gcm@openssh.com", "aes128-gcm@openssh.com"),
    *("aes256-ctr", "aes192-ctr", "aes128-ctr"),
}
EXCHANGES = {
    *("sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com"),
    *("curve25519-sha256", "curve25519-sha256@libssh.org", "diffie-hellman-group-exchange-sha256"),
}
MACS = {
    *("hmac-sha2-512-etm@openssh.com", "hmac-sha2-256-etm@openssh.com"),
    *("umac-128-etm@openssh.com", "hmac-sha2-512", "hmac-sha2-256"),
}
HOST_KEYS = {f"/etc/ssh/ssh_host_{kind}_key" for kind in ("rsa", "ecdsa", "ed25519")}
LOGIN_SECONDS = 30
TRIES = 2
ALIVE_SECONDS = 300
PRIME_BITS = 2047
# From this version on there is neither protocol 1 nor an option to choose it.
PROTOCOL_2_ONLY = (7, 6)

Settings = dict[str, list[str]]

# What a host was asked before, by the command.
ANSWERS: WeakKeyDictionary[Host, dict[str, str]] = WeakKeyDictionary()


def server(subject: Subject) -> Settings:
    """What the server does, by its option in lower case; an option may come more than once."""
    return _settings(_once(subject, "sshd -T"))


def client(subject: Subject) -> Settings:
    """What a client on the host does by default."""
    return _settings(_once(subject, "ssh -G baseline.invalid"))


def version(subject: Subject) -> tuple[int, ...]:
    """OpenSSH's, such as (9, 2)."""
    told = _once(subject, "ssh -V 2>&1").partition("OpenSSH_")[2]
    return tuple(int(part) for part in told.partition("p")[0].split("."))


def _once(subject: Subject, command: str) -> str:
    answers = ANSWERS.setdefault(subject.host, {})
    if command not in answers:
        answers[command] = subject.ask(command)
    return answers[command]


def _settings(text: str) -> Settings:
    found: Settings = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        found.setdefault(name, []).append(value)
    return found


Read = Callable[[Subject], Settings]


def one_of(id: str, title: str, read: Read, option: str, *values: str) -> None:
    """Add a control by which an option has one of the values."""

    @BASELINE.control(id, title)
    def ask(subject: Subject) -> Iterator[str]:
        found = " ".join(read(subject).get(option, ["unset"]))
        if found not in values:
            yield f"{option} is {found}, not {' or '.join(values)}"


def within(id: str, title: str, read: Read, option: str, known: Collection[str]) -> None:
    """Add a control by which a list of algorithms has nothing that is not known as strong."""

    @BASELINE.control(id, title)
    def ask(subject: Subject) -> Iterator[str]:
        names = read(subject)[option][0].split(",")
        for name in names:
            if name not in known:
                yield f"{option} has {name}"


def at_most(id: str, title: str, option: str, limit: int) -> None:
    """Add a control by which a number is positive and not above the limit."""

    @BASELINE.control(id, title)
    def ask(subject: Subject) -> Iterator[str]:
        found = int(server(subject)[option][0])
        if not 0 < found <= limit:
            yield f"{option} is {found}, not 1 to {limit}"


def gone(id: str, title: str, read: Read, option: str, wanted: str) -> None:
    """Add a control on an option that newer versions of OpenSSH do not have any more."""

    @BASELINE.control(id, title)
    def ask(subject: Subject) -> Iterator[str]:
        found = read(subject).get(option, [wanted])[0]
        if found != wanted:
            yield f"{option} is {found}, not {wanted}"


def owned(id: str, title: str, path: str, mode: int) -> None:
    """Add a control by which a path is root's and allows nothing beyond the mode."""

    @BASELINE.control(id, title)
    def ask(subject: Subject) -> Iterator[str]:
        file = subject.host.file(path)
        if (file.user, file.group) != ("root", "root"):
            yield f"{path} belongs to {file.user}:{file.group}"
        if file.mode != mode:
            yield f"{path} has mode {file.mode:04o}, not {mode:04o}"


within("sshd-01", "Server: strong ciphers only", server, "ciphers", CIPHERS)
within("sshd-02", "Server: strong key exchanges only", server, "kexalgorithms", EXCHANGES)
within("sshd-03", "Server: strong message authentication codes only", server, "macs", MACS)
owned("sshd-04", "Server: its folder is root's", "/etc/ssh", 0o755)
owned("sshd-05", "Server: its configuration is root's alone", "/etc/ssh/sshd_config", 0o600)
one_of(
    *("sshd-06", "Server: no root, or root by key only", server, "permitrootlogin"),
    *("no", "without-password", "prohibit-password"),
)


@BASELINE.control("sshd-07", "Server: the port is the one that is expected")
def port(subject: Subject) -> Iterator[str]:
    found = server(subject)["port"]
    if found != [str(subject.target.port)]:
        yield f"port is {', '.join(found)}, and the inventory says {subject.target.port}"


one_of(
    *("sshd-08", "Server: a known address family", server, "addressfamily"),
    *("inet", "inet6", "any"),
)


@BASELINE.control("sshd-09", "Server: it says where it listens")
def listen_address(subject: Subject) -> Iterator[str]:
    if not server(subject).get("listenaddress"):
        yield "there is no listenaddress"


def _protocol_2(subject: Subject) -> Iterator[str]:
    if version(subject) < PROTOCOL_2_ONLY:
        yield f"OpenSSH {'.'.join(map(str, version(subject)))} may speak protocol 1"


BASELINE.control("sshd-10", "Server: protocol 2 only")(_protocol_2)
one_of("sshd-11", "Server: modes of key files count", server, "strictmodes", "yes")
one_of("sshd-12", "Server: it logs as AUTH", server, "syslogfacility", "AUTH")
one_of("sshd-13", "Server: it logs which key came", server, "loglevel", "VERBOSE")


@BASELINE.control("sshd-14", "Server: its host keys are named, and of known kinds")
def host_keys(subject: Subject) -> Iterator[str]:
    found = server(subject).get("hostkey", [])
    if not found:
        yield "no hostkey is named"
    for path in found:
        if path not in HOST_KEYS:
            yield f"hostkey {path} is of no known kind"


gone("sshd-15", "Server: no login(1)", server, "uselogin", "no")
gone("sshd-16", "Server: privileges are separated", server, "useprivilegeseparation", "sandbox")
one_of("sshd-17", "Server: no environment of the user", server, "permituserenvironment", "no")
at_most("sshd-18", "Server: little time to log in", "logingracetime", LOGIN_SECONDS)
at_most("sshd-19", "Server: few tries to log in", "maxauthtries", TRIES)
at_most("sshd-20", "Server: few sessions for one connection", "maxsessions", 10)


@BASELINE.control("sshd-21", "Server: few log-ins begun at once")
def max_startups(subject: Subject) -> Iterator[str]:
    (found,) = server(subject)["maxstartups"]
    begin, rate, full = map(int, found.split(":"))
    if begin > 10 or rate < 30 or full > 100:
        yield f"maxstartups is {found}, more than 10:30:100"


one_of("sshd-22", "Server: log-in by key", server, "pubkeyauthentication", "yes")
one_of("sshd-23", "Server: no .rhosts", server, "ignorerhosts", "yes")
one_of("sshd-24", "Server: no known hosts of users", server, "ignoreuserknownhosts", "yes")
one_of("sshd-25", "Server: no log-in by host", server, "hostbasedauthentication", "no")
one_of("sshd-27", "Server: no passwords", server, "passwordauthentication", "no")
one_of("sshd-28", "Server: no empty passwords", server, "permitemptypasswords", "no")
one_of("sshd-29", "Server: no questions either", server, "kbdinteractiveauthentication", "no")
gone("sshd-30", "Server: no Kerberos", server, "kerberosauthentication", "no")
gone("sshd-31", "Server: no password instead of Kerberos", server, "kerberosorlocalpasswd", "no")
gone("sshd-32", "Server: Kerberos tickets do not stay", server, "kerberosticketcleanup", "yes")
gone("sshd-33", "Server: no GSSAPI", server, "gssapiauthentication", "no")
gone("sshd-34", "Server: GSSAPI leaves no credentials", server, "gssapicleanupcredentials", "yes")
one_of("sshd-35", "Server: no keep-alives that can be forged", server, "tcpkeepalive", "no")
at_most("sshd-36", "Server: dead clients are asked for", "clientaliveinterval", ALIVE_SECONDS)
at_most("sshd-37", "Server: dead clients are asked a few times", "clientalivecountmax", 3)
one_of("sshd-38", "Server: no tunnels", server, "permittunnel", "no")
one_of("sshd-39", "Server: no TCP forwarding", server, "allowtcpforwarding", "no")
one_of("sshd-40", "Server: no agent forwarding", server, "allowagentforwarding", "no")
one_of("sshd-41", "Server: no gateway ports", server, "gatewayports", "no")
one_of("sshd-42", "Server: no X11", server, "x11forwarding", "no")
one_of("sshd-43", "Server: X11 would stay on the host", server, "x11uselocalhost", "yes")
one_of("sshd-44", "Server: no message of the day", server, "printmotd", "no")
one_of("sshd-45", "Server: no last log-in", server, "printlastlog", "no")
one_of("sshd-46", "Server: no banner", server, "banner", "none")
gone("sshd-47", "Server: it does not tell its distribution", server, "debianbanner", "no")


@BASELINE.control("sshd-48", "Server: long primes for Diffie-Hellman")
def primes(subject: Subject) -> Iterator[str]:
    short = subject.ask(f"awk '$5 ~ /^[0-9]+$/ && $5 < {PRIME_BITS}' /etc/ssh/moduli | wc -l")
    if short != "0":
        yield f"/etc/ssh/moduli has {short} primes below {PRIME_BITS} bits"


owned("ssh-01", "Client: its configuration is root's", "/etc/ssh/ssh_config", 0o644)
one_of(
    *("ssh-02", "Client: a known address family", client, "addressfamily"),
    *("inet", "inet6", "any"),
)
one_of("ssh-03", "Client: the usual port", client, "port", "22")
BASELINE.control("ssh-04", "Client: protocol 2 only")(_protocol_2)
one_of("ssh-05", "Client: it may ask", client, "batchmode", "no")
one_of("ssh-06", "Client: addresses of hosts are checked", client, "checkhostip", "yes")
one_of(
    *("ssh-07", "Client: unknown host keys are asked about", client, "stricthostkeychecking"),
    *("ask", "yes", "true"),
)
within("ssh-08", "Client: strong ciphers only", client, "ciphers", CIPHERS)
within("ssh-09", "Client: strong key exchanges only", client, "kexalgorithms", EXCHANGES)
within("ssh-10", "Client: strong message authentication codes only", client, "macs", MACS)
one_of("ssh-11", "Client: the agent stays here", client, "forwardagent", "no")
one_of("ssh-12", "Client: no X11", client, "forwardx11", "no")
one_of("ssh-13", "Client: no log-in by host", client, "hostbasedauthentication", "no")
gone("ssh-14", "Client: no log-in by .rhosts", client, "rhostsrsaauthentication", "no")
gone("ssh-15", "Client: RSA keys are not switched off", client, "rsaauthentication", "yes")
one_of("ssh-16", "Client: no passwords", client, "passwordauthentication", "no")
gone("ssh-17", "Client: no GSSAPI", client, "gssapiauthentication", "no")
gone("ssh-18", "Client: GSSAPI hands nothing on", client, "gssapidelegatecredentials", "no")
one_of("ssh-19", "Client: no tunnels", client, "tunnel", "no", "false")
one_of("ssh-20", "Client: no local commands", client, "permitlocalcommand", "no")
gone("ssh-21", "Client: no roaming", client, "useroaming", "no")
