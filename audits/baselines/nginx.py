"""The dev-sec Nginx baseline, version 2: its 16 controls.

The baseline looks for lines in files. Here the host is asked for what those lines are for: the
configuration that Nginx runs on, its processes, and an answer of the site. A stricter value than
the baseline's passes too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from audits.baselines.baseline import Baseline
from audits.subject import Subject

BASELINE = Baseline(name="nginx", reference="dev-sec nginx-baseline")

CONF = "/etc/nginx/nginx.conf"
# Sizes in bytes, times in seconds; all from the baseline.
BUFFERS = {
    "client_body_buffer_size": 1024,
    "client_max_body_size": 1024,
    "client_header_buffer_size": 1024,
    "large_client_header_buffers": 1024,
}
TIMEOUTS = {
    "keepalive_timeout": 5,
    "client_body_timeout": 10,
    "client_header_timeout": 10,
    "send_timeout": 10,
}
CONNECTIONS = 5
HSTS_SECONDS = 15768000
PROTOCOLS = {"TLSv1.2", "TLSv1.3"}
UNITS = {"": 1, "s": 1, "k": 2**10, "m": 2**20, "g": 2**30}


def _configuration(subject: Subject) -> str:
    return subject.ask("nginx -T 2>/dev/null")


def _values(subject: Subject, directive: str) -> list[str]:
    """What stands after the directive, wherever it is used."""
    pattern = rf"^\s*{directive}\s+(.+?);\s*$"
    return [
        found.strip("'\"") for found in re.findall(pattern, _configuration(subject), re.MULTILINE)
    ]


def _number(text: str) -> int | None:
    """The last number of a value: bytes, or seconds; None where it is no number."""
    found = re.fullmatch(r"(\d+)([a-z]?)", text.split()[-1].lower())
    return int(found[1]) * UNITS[found[2]] if found and found[2] in UNITS else None


def _at_most(subject: Subject, most: dict[str, int]) -> Iterable[str]:
    for directive, limit in most.items():
        values = _values(subject, directive)
        if not values:
            yield f"{directive} is not set"
        for value in values:
            number = _number(value)
            if number is None:
                yield f"{directive} is {value}, which is no number"
            elif number > limit:
                yield f"{directive} is {value}, and {limit} is the most"


def _headers(subject: Subject) -> dict[str, list[str]]:
    """Headers of the log-in page, the app's own and with a cookie; names in small letters."""
    domain = subject.target.domain
    ask = f"curl -s -k --resolve {domain}:443:127.0.0.1 -o /dev/null -D - https://{domain}"
    headers: dict[str, list[str]] = {}
    for line in subject.ask(f"{ask}/accounts/login/").splitlines()[1:]:
        name, _, value = line.partition(":")
        headers.setdefault(name.lower(), []).append(value.strip())
    return headers


def _sends(subject: Subject, header: str, *accepted: str) -> Iterable[str]:
    values = _headers(subject).get(header, [])
    if not values:
        yield f"{header} is not sent"
    for value in values:
        if value.lower() not in accepted:
            yield f"{header} is {value}"


@BASELINE.control("nginx-01", "Worker processes run without privileges")
def workers(subject: Subject) -> Iterable[str]:
    users = subject.ask("ps -C nginx -o user=,args= | awk '/worker process/ { print $1 }'").split()
    if not users:
        yield "no worker runs"
    if "root" in users:
        yield "a worker runs as root"


@BASELINE.control("nginx-02", "The configuration is root's and unreadable to others")
def configuration_file(subject: Subject) -> Iterable[str]:
    file = subject.host.file(CONF)
    if (file.user, file.group) != ("root", "root"):
        yield f"{CONF} belongs to {file.user}:{file.group}"
    if file.mode & 0o007:
        yield f"{CONF} has mode {file.mode:04o}"


@BASELINE.control("nginx-03", "No default site")
def default_files(subject: Subject) -> Iterable[str]:
    for path in ("/etc/nginx/conf.d/default.conf", "/etc/nginx/sites-enabled/default"):
        # Debian's own may lie there as long as Nginx does not read it.
        if f"# configuration file {path}:" in _configuration(subject):
            yield f"{path} is read"


@BASELINE.control("nginx-04", "One instance")
def instances(subject: Subject) -> Iterable[str]:
    count = subject.ask("ps -C nginx -o args= | grep -c 'master process'")
    if count != "1":
        yield f"{count} master processes run"


@BASELINE.control("nginx-05", "The version is not told")
def version(subject: Subject) -> Iterable[str]:
    if set(_values(subject, "server_tokens")) != {"off"}:
        yield "server_tokens is not off"
    yield from _sends(subject, "server", "nginx")


@BASELINE.control("nginx-06", "Small buffers")
def buffers(subject: Subject) -> Iterable[str]:
    yield from _at_most(subject, BUFFERS)


@BASELINE.control("nginx-07", "Few connections for each address")
def connections(subject: Subject) -> Iterable[str]:
    yield from _at_most(subject, {"limit_conn": CONNECTIONS})


@BASELINE.control("nginx-08", "No page in a frame of another site")
def frames(subject: Subject) -> Iterable[str]:
    yield from _sends(subject, "x-frame-options", "deny", "sameorigin")


@BASELINE.control("nginx-09", "The browser's own filter against cross-site scripting")
def filter_of_browsers(subject: Subject) -> Iterable[str]:
    yield from _sends(subject, "x-xss-protection", "1; mode=block")


@BASELINE.control("nginx-10", "The content's type is not guessed")
def sniffing(subject: Subject) -> Iterable[str]:
    yield from _sends(subject, "x-content-type-options", "nosniff")


@BASELINE.control("nginx-12", "TLS: protocols, session tickets, ciphers")
def tls(subject: Subject) -> Iterable[str]:
    offered = {word for value in _values(subject, "ssl_protocols") for word in value.split()}
    if not offered or not offered <= PROTOCOLS:
        yield f"ssl_protocols are {', '.join(sorted(offered)) or 'not set'}"
    wanted = {"ssl_session_tickets": "off", "ssl_prefer_server_ciphers": "on"}
    for directive, value in wanted.items():
        if set(_values(subject, directive)) != {value}:
            yield f"{directive} is not {value}"
    names = {name for value in _values(subject, "ssl_ciphers") for name in value.split(":")}
    weak = sorted(name for name in names if not re.fullmatch(r"ECDHE-.*(GCM|POLY1305).*", name))
    if weak:
        yield f"ciphers without forward secrecy or authentication: {', '.join(weak)}"
    # The baseline asks for parameters of DHE, for clients that no cipher of its list is for.
    if any(name.startswith("DHE-") for name in names) and not _values(subject, "ssl_dhparam"):
        yield "ssl_dhparam is not set"


@BASELINE.control("nginx-13", "HSTS")
def hsts(subject: Subject) -> Iterable[str]:
    found = re.search(
        r"max-age=(\d+)", " ".join(_headers(subject).get("strict-transport-security", []))
    )
    if not found or int(found[1]) < HSTS_SECONDS:
        yield f"strict-transport-security lasts {found[1] if found else 0} s"


@BASELINE.control("nginx-14", "No insecure method")
def methods(subject: Subject) -> Iterable[str]:
    domain = subject.target.domain
    ask = f"curl -s -k --resolve {domain}:443:127.0.0.1 -o /dev/null -w '%{{http_code}}'"
    for method in ("TRACE", "TRACK", "CONNECT"):
        status = subject.ask(f"{ask} -X {method} https://{domain}/")
        if not status.startswith("4"):
            yield f"{method} is answered with {status}"


@BASELINE.control("nginx-15", "A Content-Security-Policy")
def policy(subject: Subject) -> Iterable[str]:
    for value in _headers(subject).get("content-security-policy", [""]):
        if "script-src" not in value and "default-src" not in value:
            yield "it says nothing about scripts"
        if "unsafe" in value:
            yield f"it allows what is unsafe: {value}"


@BASELINE.control("nginx-16", "Cookies are Secure and HttpOnly")
def cookies(subject: Subject) -> Iterable[str]:
    for cookie in _headers(subject).get("set-cookie", []):
        name, flags = cookie.partition("=")[0], cookie.lower()
        if "httponly" not in flags or "secure" not in flags:
            yield f"{name} is not both"


@BASELINE.control("nginx-17", "Short timeouts")
def timeouts(subject: Subject) -> Iterable[str]:
    yield from _at_most(subject, TIMEOUTS)
