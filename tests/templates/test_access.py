"""Who gets in, who is shut out, and what is said about it."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest

from tests.templates.render import ROOT, render, value
from tests.templates.role_files import load

login_problem = load("login/filter_plugins/login_problem.py").login_problem
GUARD = ROOT / "roles" / "guard" / "files" / "slipway-guard"
PLACE = {"host": "203.0.113.10", "port": 22, "user": "root"}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("ssh: connect to host 203.0.113.10 port 22: No route to host", "cannot be reached: ssh"),
        ("root@203.0.113.10: Permission denied (publickey).", "lets neither ada nor root in"),
        ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @", "is not the one you know"),
        ("No ED25519 host key is known.\r\nHost key verification failed.", "(ED25519) SHA256:abc"),
    ],
)
def test_why_nobody_gets_in_is_one_sentence_with_a_next_step(said: str, words: str) -> None:
    shown = ["256 SHA256:abc 203.0.113.10 (ED25519)"]
    told = login_problem(said, **PLACE, account="ada", fingerprints=shown)
    swapped = words.replace("(ED25519) SHA256:abc", "SHA256:abc (ED25519)")
    assert swapped in told
    assert "203.0.113.10" in told
    assert "\n" not in told


def test_a_port_of_one_s_own_is_named_as_ssh_keygen_wants_it() -> None:
    changed = "Host key for [h]:2222 has changed and you have requested strict checking."
    told = login_problem(changed, host="h", port=2222, user="u", account="", fingerprints=[])
    assert told.endswith("ssh-keygen -R [h]:2222")


def test_without_operators_root_stays() -> None:
    assert value("ssh", "ssh_allow_users") == ["root"]
    assert value("ssh", "ssh_permit_root_login") == "prohibit-password"
    assert "ALL=" not in render("operators", "sudoers.j2")


def test_with_operators_root_goes() -> None:
    site: dict[str, Any] = {"site_operators": {"ada": ["ssh-ed25519 A"], "ben": ["ssh-ed25519 B"]}}
    # Not while the run is still root's, on its first day.
    first = {**site, "ansible_user": "root"}
    assert value("ssh", "ssh_allow_users", **first) == ["ada", "ben", "root"]
    assert value("ssh", "ssh_permit_root_login", **first) == "prohibit-password"
    site["ansible_user"] = "ada"
    assert value("ssh", "ssh_allow_users", **site) == ["ada", "ben"]
    assert value("ssh", "ssh_permit_root_login", **site) == "no"
    rules = render("operators", "sudoers.j2", **site)
    assert "ada ALL=(ALL:ALL) NOPASSWD: ALL\nben ALL=(ALL:ALL) NOPASSWD: ALL\n" in rules


@pytest.mark.parametrize(
    "args", [(), ("arm",), ("arm", "ssh.service", "/etc/x"), ("boot", "x"), ("disarm",), ("x", "y")]
)
def test_the_guard_refuses_what_it_does_not_know(args: tuple[str, ...]) -> None:
    done = subprocess.run(["sh", str(GUARD), *args], capture_output=True, text=True)
    assert done.returncode == 64
    assert done.stderr.startswith("slipway-guard: use: ")


def test_the_guard_does_nothing_when_the_check_fails() -> None:
    argv = ["sh", str(GUARD), "arm", "ssh.service", "/nonexistent", "sh", "-c", "exit 3"]
    assert subprocess.run(argv).returncode == 3


FAILED_LOGIN = (
    '"POST /accounts/login/ HTTP/2.0" 200 1852 0.002s 974e library.example.org 2026-6b1c061 "-" "c"'
)


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        (f"203.0.113.9 [] {FAILED_LOGIN}", True),
        (f"2001:db8::9 [] {FAILED_LOGIN}", True),
        (f"203.0.113.9 [] {FAILED_LOGIN.replace(' 200 ', ' 429 ')}", True),
        (f"203.0.113.9 [] {FAILED_LOGIN.replace('login/', 'login/?next=/')}", True),
        # A right log-in is led on; looking at the form is no log-in; another form is another thing.
        (f"203.0.113.9 [] {FAILED_LOGIN.replace(' 200 ', ' 302 ')}", False),
        (f"203.0.113.9 [] {FAILED_LOGIN.replace('POST', 'GET')}", False),
        (f"203.0.113.9 [] {FAILED_LOGIN.replace('accounts/login', 'books/add')}", False),
        # Another site on the droplet has a jail of its own.
        (f"203.0.113.9 [] {FAILED_LOGIN.replace('library.', 'shop.')}", False),
        # Words of a visitor's own are no failure of anybody.
        (
            '203.0.113.9 [] "GET / HTTP/2.0" 200 1 0s - - "POST /accounts/login/ HTTP/1.1" "x"',
            False,
        ),
    ],
)
def test_what_counts_as_a_failed_log_in(line: str, counts: bool) -> None:
    (rule,) = re.findall(r"^failregex = (.*)$", render("fail2ban", "login.conf.j2"), re.M)
    # fail2ban's own word for an address, without its names.
    assert bool(re.search(rule.replace("<ADDR>", r"[0-9a-f.:]+"), line)) is counts


def test_a_jail_can_be_left_out_and_addresses_too() -> None:
    changes = {"fail2ban_login_failures": 0, "fail2ban_ignore": ["203.0.113.77"]}
    text = render("fail2ban", "jail.local.j2", **changes)
    assert "ignoreip = 127.0.0.1/8 ::1 203.0.113.77\n" in text
    assert "[sshd]\nenabled = true\n" in text
    jail = render("fail2ban", "login.local.j2", **changes)
    assert "[locallibrary-login]\nenabled = false\nfilter = locallibrary-login\n" in jail
