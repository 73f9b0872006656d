"""Maintenance on a real droplet: who gets the page and who the site, and what goes on meanwhile."""

import json
import re
import shlex
import time
from collections.abc import Iterator

import pytest

from deploy.host.maintenance import MESSAGE
from lab import network
from lab.run import run as must
from tests.lab.faults.inside import LAYOUT, look
from tests.lab.faults.test_schema import NAME, NOT_NULL, column_there, commit, schema_put_back
from tests.lab.preparations import SUITES, Provisioned
from tests.lab.site import ROOT, Answer, Done, Site, run

both = pytest.mark.parametrize("provisioned", SUITES, indirect=True)
# An address of the bridge that no droplet gets.
GUEST = str(network.SUBNET[251])
GUEST6 = "2001:db8::7"
MARKUP = "<b>Back</b> at “noon” & later"


@pytest.fixture
def site(debian13: Site) -> Iterator[Site]:
    """The droplet with a release, and the same one with maintenance off after the test."""
    assert debian13.invoke("deploy").code == 0
    revision = debian13.git("rev-parse", "HEAD")
    yield debian13
    debian13.invoke("maintenance.off")
    debian13.git("reset", "--quiet", "--hard", revision)


@pytest.fixture
def guest() -> Iterator[str]:
    """An address of this machine beside the one that all other visitors have."""
    must("ip", "address", "replace", f"{GUEST}/32", "dev", network.BRIDGE)
    try:
        yield GUEST
    finally:
        must("ip", "address", "delete", f"{GUEST}/32", "dev", network.BRIDGE)


def switch(site: Site, *words: str) -> Done:
    """invoke maintenance.on, or .off; it must succeed."""
    done = site.invoke(f"maintenance.{words[0]}", *words[1:])
    assert done.code == 0, done
    return done


def page(answer: Answer) -> str:
    """The page of maintenance as every visitor has to get it; its body."""
    assert answer.status == 503, answer
    assert answer.headers["Retry-After"] == "300"
    assert answer.headers.get_all("Cache-Control") == ["no-store"]
    assert answer.headers.get_content_type() == "text/html"
    assert "X-Release" not in answer.headers
    assert re.search(r'<html lang="en">.*<title>Back soon</title>.*<main>', answer.body, re.DOTALL)
    return answer.body


def status_for(site: Site, source: str, path: str = "/") -> str:
    """What somebody at that address of this machine gets."""
    to = ("--interface", source, "--connect-to", f"::{site.address}:")
    write = ("-o", "/dev/null", "-w", "%{http_code}")
    return run("curl", "-s", "-k", *to, *write, f"https://{site.domain}{path}").stdout


def status_on(site: Site, source: str, server: str) -> str:
    """What the droplet itself gets when it asks from one of its addresses."""
    asked = f"--connect-to '::{server}:' https://{site.domain}/"
    return site.ask(f"curl -s -k --interface {source} -o /dev/null -w '%{{http_code}}' {asked}")


# Its process and the workers that take connections; those of an earlier reload may go meanwhile.
NGINX = "pid=$(systemctl show nginx -P MainPID); echo $pid; pgrep -P $pid -f 'worker process$'"


@both
def test_visitors_get_the_page_and_whoever_is_let_in_the_site(
    provisioned: Provisioned, guest: str
) -> None:
    site = provisioned.site
    assert site.invoke("deploy").code == 0
    (style,) = set(re.findall(r'href="(/static/[^"]+\.css)"', site.get().body)[:1])
    nginx = site.ask(NGINX)
    switch(site, "on", "--message", MARKUP, "--allow", guest, "--allow", "2001:DB8:0::7")
    try:
        assert "&lt;b&gt;Back&lt;/b&gt; at “noon” &amp; later</p>" in page(site.get())
        page(site.get("/admin/login/?next=/"))
        page(site.get("/a-page-that-is-not-there"))
        # A form that is sent is no file's to answer.
        form = ("curl", "-s", "-k", "--connect-to", f"::{site.address}:", "-d", "username=reader")
        write = ("-o", "/dev/null", "-w", "%{http_code}")
        login = f"https://{site.domain}/accounts/login/"
        assert run(*form, *write, login).stdout == "503"
        assert status_for(site, guest) == "200"
        # Whoever is let in sends forms too; Django misses its token in this one.
        assert run(*form, *write, "--interface", guest, login).stdout == "403"
        assert site.get(style).status == 200
        assert "immutable" in site.get(style).headers["Cache-Control"]
        assert [site.get(path).status for path in ("/healthz", "/readyz")] == [200, 200]
        assert status_on(site, "127.0.0.1", "127.0.0.1") == "200"
        assert status_on(site, site.address, site.address) == "200"
        assert status_on(site, "127.0.0.2", "127.0.0.1") == "503"
        site.ask(f"ip -6 address replace {GUEST6}/128 dev lo")
        assert status_on(site, GUEST6, "[::1]") == "200"
        # Said again it replaces both.
        switch(site, "on")
        assert MESSAGE in page(site.get())
        assert status_for(site, guest) == "503"
        assert status_on(site, GUEST6, "[::1]") == "503"
    finally:
        site.ssh(f"ip -6 address delete {GUEST6}/128 dev lo")
        done = switch(site, "off")
    assert "visitors see the site again" in done.stdout
    assert site.get().status == 200
    done = switch(site, "off")
    assert done.stdout.strip() == "Nothing changed: maintenance is off already"
    # Nobody had to touch Nginx: the same processes, workers too.
    assert site.ask(NGINX) == nginx


def test_status_and_the_audit_log_say_since_when_and_by_whom(site: Site) -> None:
    assert site.json("status")["maintenance"] is None
    before = look(site)
    switch(site, "on", "--message", "Back at noon.", "--allow", GUEST)
    found = site.json("status")["maintenance"]
    assert (found["message"], found["allow"]) == ("Back at noon.", [GUEST])
    assert "@" in found["who"]
    told = site.invoke("status")
    assert re.search(rf"maintenance +on, since \d+ s ago, by {found['who']}; let in", told.stdout)
    switch(site, "off")
    new = look(site).entries[len(before.log) :]
    assert [entry["event"] for entry in new] == ["maintenance on", "maintenance off"]
    assert {entry["who"] for entry in new} == {found["who"]}
    assert new[0]["message"] == "Back at noon."
    assert site.json("status")["current"]["since"]


@pytest.mark.parametrize("wrong", ["10.87.0.0/24", "office", "fe80::1%eth0", ""])
def test_a_wrong_address_is_one_sentence_and_changes_nothing(site: Site, wrong: str) -> None:
    switch(site, "on", "--message", "Back at noon.")
    before = look(site), site.json("status")["maintenance"]
    done = site.invoke("maintenance.on", "--allow", GUEST, "--allow", wrong)
    assert done.code == 2, done
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"refused: {wrong!r}"), done
    assert "Traceback" not in done.output
    assert (look(site), site.json("status")["maintenance"]) == before
    assert "Back at noon." in page(site.get())


def test_whoever_is_on_the_droplet_needs_no_controller(site: Site) -> None:
    slipway = "slipway locallibrary maintenance"
    told = site.ask(f"{slipway} on --message {shlex.quote(MARKUP)} --allow {GUEST}")
    assert MARKUP in told
    assert "&lt;b&gt;" in page(site.get())
    found = json.loads(site.ask("slipway locallibrary status"))["maintenance"]
    assert found["who"].endswith("on the droplet")
    done = site.ssh(f"{slipway} on --allow 10.87.0.0/24")
    assert (done.code, len(done.stderr.splitlines())) == (2, 1), done
    assert "example" in site.ask(f"{slipway} on --help")
    assert "visitors see the site again" in site.ask(f"{slipway} off")
    assert "off already" in site.ask(f"{slipway} off")
    assert site.get().status == 200


def test_a_release_tool_of_before_is_told_apart(site: Site) -> None:
    """The command on the droplet comes with the playbook, the release tool with invoke."""
    tool = site.ask(f"readlink {LAYOUT.root}/tool")
    site.ask(f"mkdir /tmp/before && ln -sfn /tmp/before {LAYOUT.root}/tool")
    try:
        done = site.ssh("slipway locallibrary maintenance on")
        assert done.code == 64, done
        assert "run: invoke status" in done.stderr
    finally:
        site.ask(f"ln -sfn {tool} {LAYOUT.root}/tool && rmdir /tmp/before")


def test_an_nginx_of_before_is_told_apart(site: Site) -> None:
    """Nginx learns of it by the playbook, the release tool by invoke."""
    conf = "/etc/nginx/conf.d/locallibrary.conf"
    reload = "nginx -t -q && systemctl reload nginx && sleep 1"
    site.ask(f"cp {conf} /root/kept && sed -i 's|maintenance/on|unknown|' {conf} && {reload}")
    try:
        done = site.invoke("maintenance.on")
        assert done.code == 3, done
        assert "Run: ansible-playbook site.yml" in done.stderr
        assert site.json("status")["maintenance"] is None
        assert site.get().status == 200
    finally:
        site.ask(f"mv /root/kept {conf} && {reload}")


@pytest.mark.slow
def test_it_outlives_a_reboot_a_deploy_and_a_rollback(site: Site) -> None:
    old = site.release()
    switch(site, "on")
    done = run("invoke", "lab.reboot", "--name", site.name, cwd=ROOT)
    assert done.code == 0, done
    patience = time.monotonic() + 30
    while True:
        try:
            if site.get("/readyz").status == 200:
                break
        except OSError:
            pass
        assert time.monotonic() < patience
        time.sleep(0.5)
    page(site.get())
    new = site.commit({"app/CHANGES.txt": "during maintenance\n"}, "During maintenance")
    done = site.invoke("deploy")
    assert done.code == 0, done
    assert "invoke maintenance.off" in done.stderr
    page(site.get())
    done = site.invoke("rollback")
    assert done.code == 0, done
    page(site.get())
    switch(site, "off")
    assert site.release() == old
    assert not old.endswith(new)


def test_migrations_that_break_the_live_release_go_ahead_and_say_why(site: Site) -> None:
    old = site.release()
    with schema_put_back(site):
        new = commit(site, NOT_NULL)
        done = site.invoke("deploy")
        assert done.code == 2, done
        assert "invoke maintenance.on" in done.stderr
        assert "invoke deploy --allow-breaking" in done.stderr
        assert not column_there(site)
        switch(site, "on")
        done = site.invoke("deploy")
        assert done.code == 0, done
        why = f"{old} cannot live with catalog.{NAME}: applied all the same, because maintenance"
        assert why in done.stderr, done
        page(site.get())
        assert column_there(site)
        done = site.invoke("rollback", "--reverse-migrations")
        assert done.code == 0, done
        assert not column_there(site)
        switch(site, "off")
        assert site.release() == old
        assert not old.endswith(new)
