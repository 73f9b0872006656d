"""What Nginx is told, read as a tree of directives and not as text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.templates.render import render

NEW = {"stderr": "nginx version: nginx/1.26.3 (Debian)"}
OLD = {"stderr": "nginx version: nginx/1.22.1"}
TOKEN = re.compile(r"""\s*(?:\#[^\n]*|("[^"]*"|'[^']*')|([{};])|([^\s{};]+))""")


@dataclass
class Block:
    """A block: its own words, its directives, and the blocks in it."""

    words: tuple[str, ...] = ()
    directives: list[tuple[str, ...]] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)

    def values(self, name: str) -> list[tuple[str, ...]]:
        return [words[1:] for words in self.directives if words[0] == name]

    def block(self, *words: str) -> Block:
        (found,) = [block for block in self.blocks if block.words == words]
        return found


def parse(text: str) -> Block:
    stack, words = [Block()], []
    for quoted, sign, word in TOKEN.findall(text):
        if quoted or word:
            words.append(quoted[1:-1] if quoted else word)
        elif sign == "{":
            stack.append(Block(tuple(words)))
            words = []
        elif sign == ";":
            stack[-1].directives.append(tuple(words))
            words = []
        elif sign == "}":
            block = stack.pop()
            stack[-1].blocks.append(block)
    assert len(stack) == 1
    return stack[0]


def site(said: dict[str, str] = NEW, **changes: Any) -> tuple[Block, Block]:
    """The site's servers: plain HTTP, and HTTPS of the first domain."""
    http, *_, https = servers(said, **changes)
    return http, https


def servers(said: dict[str, str] = NEW, **changes: Any) -> list[Block]:
    tree = parse(render("nginx", "site.conf.j2", __nginx_said=said, **changes))
    return [block for block in tree.blocks if block.words == ("server",)]


def server(said: dict[str, str] = NEW, **changes: Any) -> Block:
    return parse(render("nginx", "nginx.conf.j2", __nginx_said=said, **changes)).block("http")


def test_http_answers_challenges_and_sends_the_rest_to_https() -> None:
    http, _ = site()
    challenge = http.block("location", "^~", "/.well-known/acme-challenge/")
    assert challenge.values("root") == [("/var/lib/acme-webroot",)]
    assert http.block("location", "/").values("return") == [("301", "https://$host$request_uri")]


MAIN, FURTHER = "library.example.org", "www.library.example.org"


def test_further_domains_lead_to_the_first_one_under_the_same_certificate() -> None:
    http, further, main = servers()
    assert http.values("server_name") == [(MAIN, FURTHER)]
    assert main.values("server_name") == [(MAIN,)]
    assert further.values("server_name") == [(FURTHER,)]
    assert further.values("return") == [("301", f"https://{MAIN}$request_uri")]
    for block in (further, main):
        assert block.values("ssl_certificate") == [("/etc/ssl/locallibrary/live/fullchain.pem",)]
        assert block.values("ssl_certificate_key") == [("/etc/ssl/locallibrary/live/privkey.pem",)]
        assert "Strict-Transport-Security" in [words[0] for words in block.values("add_header")]


def test_every_domain_serves_the_site_where_the_inventory_says_so() -> None:
    for block in servers(nginx_redirect_to_first=False):
        assert block.values("server_name") == [(MAIN, FURTHER)]
    assert len(servers(nginx_redirect_to_first=False)) == 2
    assert len(servers(site_domains=[MAIN])) == 2


@pytest.mark.parametrize(
    ("said", "listen", "http2"),
    [(NEW, ("443", "ssl"), [("on",)]), (OLD, ("443", "ssl", "http2"), [])],
)
def test_http2_as_each_version_writes_it(
    said: dict[str, str], listen: tuple[str, ...], http2: list[tuple[str, ...]]
) -> None:
    _, https = site(said)
    assert https.values("listen")[0] == listen
    assert https.values("http2") == http2


def test_http3_where_nginx_has_it() -> None:
    _, https = site(NEW)
    assert ("443", "quic") in https.values("listen")
    assert ("Alt-Svc", 'h3=":443"; ma=86400', "always") in https.values("add_header")
    _, https = site(OLD)
    assert not [words for words in https.values("listen") if "quic" in words]
    assert "Alt-Svc" not in [words[0] for words in https.values("add_header")]
    # One of the servers of a port says how its socket is made.
    reuse = [words for block in server(NEW).blocks for words in block.values("listen")]
    assert ("443", "quic", "reuseport", "default_server") in reuse


def test_without_ipv6() -> None:
    for block in site(nginx_ipv6=False):
        assert not [words for words in block.values("listen") if "[" in words[0]]


def test_pages_come_from_the_current_release_over_a_fresh_connection() -> None:
    _, https = site()
    pages = https.block("location", "/")
    assert pages.values("proxy_pass") == [("http://locallibrary",)]
    headers = {words[0]: words[1] for words in pages.values("proxy_set_header")}
    assert headers["Host"] == "$host"
    assert headers["X-Forwarded-Proto"] == "$scheme"
    # What a client claims about itself is not passed on.
    assert headers["X-Forwarded-For"] == "$remote_addr"
    assert "Connection" not in headers


def test_a_get_whose_worker_died_is_asked_once_more() -> None:
    """Nginx asks another server of the upstream, so the one socket stands there twice."""
    tree = parse(render("nginx", "site.conf.j2", __nginx_said=NEW))
    upstream = tree.block("upstream", "locallibrary")
    socket = "unix:/srv/locallibrary/current/run/web.sock"
    assert upstream.directives == [("server", socket, "max_fails=0")] * 2
    _, https = site()
    # Not after a timeout: a page that is slow once would be made twice.
    assert https.block("location", "/").values("proxy_next_upstream") == [("error",)]


def test_no_release_is_a_503_that_says_when_to_come_back() -> None:
    _, https = site()
    assert ("502", "=", "@unavailable") in https.block("location", "/").values("error_page")
    assert https.block("location", "@unavailable").values("return")[0][0] == "503"
    assert ("Retry-After", "$locallibrary_retry_after", "always") in https.values("add_header")


def test_an_answer_of_our_own_is_not_kept_and_an_error_of_a_file_neither() -> None:
    tree = parse(render("nginx", "site.conf.j2", __nginx_said=NEW))
    choice = tree.block("map", "$status", "$locallibrary_cache_control").directives
    (pattern,) = [words[0] for words in choice if words[0] != "default"]
    fits = re.compile(pattern.removeprefix("~")).search
    said = [status for status in ("200", "206", "304", "404", "429", "500", "503") if fits(status)]
    assert said == ["200", "206", "304", "503"]
    _, https = site()
    assert ("Cache-Control", "$locallibrary_cache_control", "always") in https.values("add_header")
    for words in (("location", "@unavailable"), ("location", "=", "/.slipway/maintenance")):
        assert ("$cache_control", "no-store") in https.block(*words).values("set")


def test_maintenance_is_a_page_that_is_looked_for_where_the_app_is_asked() -> None:
    _, https = site()
    on = "/srv/locallibrary/maintenance/on"
    pages, closed = https.block("location", "/"), https.block("location", "@maintenance")
    assert pages.block("if", "(-f", f"{on}/page.html)").directives == [("return", "463")]
    assert ("463", "=", "@maintenance") in pages.values("error_page")
    assert closed.block("if", "(!-e", "$locallibrary_let_in)").directives == [("return", "503")]
    assert ("503", "/.slipway/maintenance") in closed.values("error_page")
    page = https.block("location", "=", "/.slipway/maintenance")
    assert page.values("alias") == [(f"{on}/page.html",)]
    assert ("internal",) in page.directives
    assert ("$retry_after", "300") in page.values("set")
    # Files are for everybody, and do not pay for a look.
    looking = [block.words for block in https.blocks if block.blocks or block.words[0] == "if"]
    assert looking == [("location", "/"), ("location", "@maintenance")]


def test_whoever_sees_a_closed_site_sees_it_as_it_is() -> None:
    _, https = site()
    pages, closed = https.block("location", "/"), https.block("location", "@maintenance")
    own = {
        ("error_page", "463", "=", "@maintenance"),
        ("error_page", "503", "/.slipway/maintenance"),
    }
    assert set(pages.directives) ^ set(closed.directives) == own


def test_maintenance_keeps_neither_monitors_nor_the_droplet_out() -> None:
    tree = parse(render("nginx", "site.conf.j2", __nginx_said=NEW, nginx_health_paths=["/up"]))
    there = "/srv/locallibrary"
    let_in = tree.block("map", "$uri", "$locallibrary_let_in").directives
    assert let_in == [("/up", there), ("default", "$locallibrary_stranger")]
    itself = tree.block("map", "$remote_addr $server_addr", "$locallibrary_stranger").directives
    assert ("default", f"{there}/maintenance/on/allow/$remote_addr") in itself
    ((pattern, value),) = [words for words in itself if words[0] != "default"]
    assert value == there
    fits = re.compile(pattern.removeprefix("~")).search
    assert fits("127.0.0.1 127.0.0.1")
    assert fits("2001:db8::1 2001:db8::1")
    # Where the release tool comes from when it wants to see what visitors see.
    assert not fits("127.0.0.2 127.0.0.1")
    assert not fits("10.0.0.1 10.0.0.11")
    assert not fits("110.0.0.1 10.0.0.1")


def test_hashed_files_outlive_their_release_and_others_do_not() -> None:
    _, https = site()
    hashed = https.block("location", "^~", "/static/")
    plain = https.block("location", "@static_of_current")
    assert hashed.values("root") == [("/srv/locallibrary",)]
    assert hashed.values("error_page") == [("403", "404", "=", "@static_of_current")]
    (kept,) = [words for words in hashed.values("add_header") if words[0] == "Cache-Control"]
    assert "immutable" in kept[1]
    # A file of the live release gets another content with the next one.
    assert hashed.values("open_file_cache")
    assert not plain.values("open_file_cache")
    assert not hashed.values("open_file_cache_errors")
    assert plain.values("root") == [("/srv/locallibrary/current",)]
    assert "immutable" not in plain.values("set")[0][1]
    assert hashed.values("gzip_static") == plain.values("gzip_static") == [("on",)]


def test_an_upload_is_never_a_page_of_the_site() -> None:
    _, https = site()
    policy = https.block("location", "^~", "/media/").values("set")
    assert policy[0][0] == "$content_security_policy"
    assert "sandbox" in policy[0][1]


def test_no_location_drops_the_headers() -> None:
    """One add_header in a location takes all of the server's away there."""
    _, https = site()
    alone = [block for block in https.blocks if block.values("add_header")]
    assert [block.words for block in alone] == [("location", "^~", "/static/")]
    sent = [words[0] for words in https.values("add_header")]
    assert len(sent) == len(set(sent))
    assert ("Strict-Transport-Security", "max-age=31536000", "always") in https.values("add_header")
    of_files = [words[0] for words in alone[0].values("add_header")]
    of_pages_alone = {
        "Content-Security-Policy",
        "Content-Security-Policy-Report-Only",
        "Retry-After",
    }
    assert len(of_files) == len(set(of_files))
    assert set(of_files) == set(sent)
    empty = {words[0] for words in alone[0].values("add_header") if words[1] == ""}
    assert empty == of_pages_alone


def test_a_file_is_logged_when_something_is_wrong_with_it() -> None:
    _, https = site()
    files = https.block("location", "^~", "/static/")
    assert [block for block in https.blocks if block.values("access_log")] == [files]
    assert files.values("access_log") == [("off",)]
    assert files.values("error_page") == [("403", "404", "=", "@static_of_current")]


def test_what_the_app_sends_itself_is_not_sent_twice() -> None:
    tree = parse(render("nginx", "site.conf.j2", __nginx_said=NEW))
    frame = tree.block("map", "$upstream_http_x_frame_options", "$locallibrary_x_frame_options")
    assert sorted(frame.directives) == [("", "DENY"), ("default", "")]
    _, https = site()
    assert https.block("location", "/").values("proxy_hide_header") == [
        ("Strict-Transport-Security",)
    ]


def policy(**changes: Any) -> tuple[Block, list[tuple[str, ...]]]:
    """Which pages get a policy from Nginx, and the headers that carry it."""
    tree = parse(render("nginx", "site.conf.j2", __nginx_said=NEW, **changes))
    _, https = site(**changes)
    (choice,) = [block for block in tree.blocks if block.words[-1:] == ("$locallibrary_csp",)]
    carry = [words for words in https.values("add_header") if words[1] == "$locallibrary_csp"]
    return choice, carry


def test_a_page_without_a_policy_gets_one_that_only_reports() -> None:
    choice, carry = policy()
    assert carry == [("Content-Security-Policy-Report-Only", "$locallibrary_csp", "always")]
    (pattern,) = [words[0] for words in choice.directives if words[0] != "default"]
    fits = re.compile(pattern.removeprefix("~")).search
    assert fits("200:")
    assert fits("502, 200:")
    # The app's own policy, a file, and the page that Nginx shows without a release.
    assert not fits("200:default-src 'none'")
    assert not fits(":")
    assert not fits("502, 502:")


def test_the_policy_is_enforced_or_not_sent_where_the_inventory_says_so() -> None:
    _, carry = policy(nginx_csp_enforce=True)
    assert carry == [("Content-Security-Policy", "$locallibrary_csp", "always")]
    assert "_csp" not in render("nginx", "site.conf.j2", __nginx_said=NEW, nginx_csp="")


def test_log_ins_are_limited_for_each_address() -> None:
    tree = parse(render("nginx", "site.conf.j2", __nginx_said=NEW))
    chosen = tree.block("map", "$request_method $uri", "$locallibrary_limit1").directives
    assert ("POST /admin/login/", "$locallibrary_visitor") in chosen
    assert ("default", "") in chosen
    zone = ("$locallibrary_limit1", "zone=locallibrary-login:10m", "rate=10r/m")
    assert zone in tree.values("limit_req_zone")
    _, https = site()
    pages = https.block("location", "/")
    assert ("zone=locallibrary-login", "burst=10", "nodelay") in pages.values("limit_req")
    assert ("zone=locallibrary-pages", "burst=100", "nodelay") in pages.values("limit_req")
    assert pages.values("limit_conn") == [("locallibrary-connections", "50")]
    # Files are cheap: a page with a hundred pictures is one page.
    static = https.block("location", "^~", "/static/")
    assert static.values("limit_req") == static.values("limit_conn") == []


def test_some_addresses_have_no_limit() -> None:
    facts = {"nginx_unlimited_addresses": ["192.0.2.0/24"]}
    tree = parse(render("nginx", "site.conf.j2", __nginx_said=NEW, **facts))
    geo = tree.block("geo", "$locallibrary_limited").directives
    assert ("192.0.2.0/24", "0") in geo
    assert ("127.0.0.0/8", "0") in geo
    assert ("default", "1") in geo
    # An empty key is one that Nginx does not count.
    visitor = tree.block("map", "$locallibrary_limited", "$locallibrary_visitor")
    assert ("default", "") in visitor.directives


SHOP = {
    "site_app": "shop",
    "site_domains": ["shop.example.org"],
    "nginx_page_rate": "5r/s",
    "nginx_limits": [{"name": "pay", "method": "POST", "paths": ["/"], "rate": "1r/s", "burst": 1}],
    "nginx_unlimited_addresses": ["192.0.2.0/24"],
    "nginx_csp": "",
    "nginx_client_max_body_size": "200m",
    "nginx_health_paths": ["/up"],
}


def test_nothing_of_a_site_is_in_the_file_that_all_share() -> None:
    assert render("nginx", "nginx.conf.j2", __nginx_said=NEW) == render(
        "nginx", "nginx.conf.j2", __nginx_said=NEW, **SHOP
    )


def test_two_sites_have_no_variable_zone_or_upstream_in_common() -> None:
    def names(**changes: Any) -> set[str]:
        tree = parse(render("nginx", "site.conf.j2", __nginx_said=NEW, **changes))
        made = {block.words[-1] for block in tree.blocks if block.words[0] in ("map", "geo")}
        upstreams = {block.words[1] for block in tree.blocks if block.words[0] == "upstream"}
        zones = {
            word.split(":")[0]
            for directive in ("limit_req_zone", "limit_conn_zone")
            for words in tree.values(directive)
            for word in words
            if word.startswith("zone=")
        }
        return made | upstreams | zones

    assert len(names()) > 10
    assert names() & names(**SHOP) == set()


@pytest.mark.parametrize("said", [NEW, OLD])
def test_an_unknown_name_gets_no_answer(said: dict[str, str]) -> None:
    plain, tls = (block for block in server(said).blocks if block.words == ("server",))
    for block in (plain, tls):
        assert all("default_server" in words for words in block.values("listen"))
        assert block.values("return") == [("444",)]
    assert tls.values("ssl_reject_handshake") == [("on",)]


def test_tls_is_mozilla_s_intermediate() -> None:
    http = server()
    assert http.values("ssl_protocols") == [("TLSv1.2", "TLSv1.3")]
    ciphers = http.values("ssl_ciphers")[0][0].split(":")
    assert all(
        re.fullmatch(r"ECDHE-(ECDSA|RSA)-(AES\d+-GCM|CHACHA20)-\w+", name) for name in ciphers
    )
    # The shorter key first, as the guideline has it.
    said = [value for name, value in http.values("ssl_conf_command") if name == "Ciphersuites"]
    assert [re.sub(r"_SHA\d+$", "", name) for name in said[0].split(":")] == [
        "TLS_AES_128_GCM",
        "TLS_AES_256_GCM",
        "TLS_CHACHA20_POLY1305",
    ]
    assert http.values("ssl_session_tickets") == [("off",)]


def test_tls_is_mozilla_s_modern_where_the_inventory_says_so() -> None:
    http = server(nginx_tls_profile="modern")
    assert http.values("ssl_protocols") == [("TLSv1.3",)]
    assert http.values("ssl_ciphers") == []


def test_nginx_does_not_tell_its_version() -> None:
    http = server()
    assert http.values("server_tokens") == [("off",)]
