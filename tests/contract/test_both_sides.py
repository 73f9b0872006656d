"""What Ansible writes and what the deployment side reads must be the same thing."""

import ast
import re
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.host import logs
from deploy.host.layout import RELEASE_ID, SOCKET_PATH_LIMIT, Layout
from deploy.host.site import Site
from deploy.inventory import read_target
from deploy.target import Target
from tests.templates.render import render
from tests.unit.test_health import SITE

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles" / "app"
ENVIRONMENTS = sorted(path.stem for path in (ROOT / "inventory").glob("*.yml"))


def variables(path: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / path).read_text())
    return found


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_inventory_renders_to_a_target(environment: str) -> None:
    """Without a connection, without facts, without the lab."""
    if environment == "local" and not Path("/var/lib/slipway-lab/ssh/id_ed25519.pub").exists():
        pytest.skip("the lab's key is made by the first invoke lab.up")
    target = read_target(ROOT, environment)
    assert target.environment == environment
    assert target.user == "deploy"
    assert target.root == f"/srv/{target.app}"
    assert (ROOT / target.project / "manage.py").is_file()


def test_the_inventory_declares_exactly_what_is_read() -> None:
    declared = set(variables("inventory/group_vars/all.yml")["deploy_target"])
    read = {field.name for kind in (Target, Site) for field in fields(kind)}
    # What the target is called and where it was found is not declared in it.
    read -= {"name", "inventory"}
    # The droplet's size decides it, and the role app tells the release tool.
    read -= {"workers"}
    assert declared == read


def test_both_sides_mean_the_same_by_a_release_id() -> None:
    assert variables("roles/app/vars/main.yml")["__app_release_pattern"] == RELEASE_ID.pattern


def test_the_unit_helper_knows_every_verb_that_is_called() -> None:
    source = ast.parse((ROOT / "deploy" / "host" / "units.py").read_text())
    called = {
        call.args[0].value
        for call in ast.walk(source)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "_call"
        and isinstance(call.args[0], ast.Constant)
    }
    helper = (ROLE / "templates" / "unit.j2").read_text()
    known = set(re.findall(r"\b([a-z-]+):\d\b", helper))
    assert called
    assert called <= known


def test_the_unit_helper_knows_every_verb_that_logs_are_read_by() -> None:
    asked = {"release": "", "process": "", "since": "", "lines": "", "grep": "", "request": ""}
    verbs = []
    for nginx in (False, True):
        typed = logs.question({**asked, "nginx": nginx, "follow": True}, (), datetime.now(UTC))
        source = logs._source(typed, "20260101T000000-abcdef0")
        verbs += [source.past, source.future]
    known = set(re.findall(r"\b[a-z-]+:\d\b", (ROLE / "templates" / "unit.j2").read_text()))
    assert {f"{verb[0]}:{len(verb)}" for verb in verbs} <= known


def test_nginx_s_log_has_what_is_read_of_it() -> None:
    """The server's name is where the helper looks for it, and the release where logs.py does."""
    template = (ROOT / "roles" / "nginx" / "templates" / "nginx.conf.j2").read_text()
    found = re.search(r"log_format slipway ((?:\s*'[^']*')+)", template)
    assert found
    line = "".join(re.findall(r"'([^']*)'", found[1]))
    # Of what a visitor writes Nginx escapes the quotation marks.
    visitor = {
        "remote_addr": "192.0.2.1",
        "time_iso8601": "2026-11-25T13:44:36+01:00",
        "request": r"GET /x\x22 200 1 0.1s ab other.example HTTP/1.1",
        "status": "404",
        "body_bytes_sent": "1648",
        "request_time": "0.025",
        "request_id": "ef03d11b5eeaea1a2591432133f33cc0",
        "server_name": "library.example.org",
        "upstream_http_x_release": "20261125T132450-3292124",
        "http_referer": "-",
        "http_user_agent": "curl",
    }
    line = re.sub(r"\$\{?(\w+)\}?", lambda name: visitor[name[1]], line)
    parsed = logs.nginx_line(line)
    assert parsed
    assert (parsed.key, parsed.release) == (visitor["request_id"], "20261125T132450-3292124")
    assert parsed.at == datetime(2026, 11, 25, 12, 44, 36, tzinfo=UTC)
    helper = render("app", "unit.j2")
    (pattern,) = re.findall(r"^of_this_site='(.*)'$", helper, re.MULTILINE)
    assert re.match(pattern, line)
    for other in ("library-example.org", "example.org", "other.example"):
        assert not re.match(pattern, line.replace("library.example.org", other))


def test_the_socket_unit_listens_where_the_release_tool_knocks() -> None:
    """A release has a link to the folder that the socket is in."""
    unit = (ROLE / "templates" / "web@.socket.j2").read_text()
    listen = re.search(r"^ListenStream=(.*)$", unit, re.MULTILINE)
    assert listen
    path = Path(listen[1].replace("{{ app_name }}", SITE.app).replace("%i", "ID"))
    assert path.parent == SITE.sockets("ID")
    assert path.name == SITE.layout.socket("ID").name


def test_the_longest_socket_path_fits() -> None:
    """A unix socket's path has 107 bytes; an app's name, as a Linux user's, 32."""
    longest = Layout(Path("/srv") / ("a" * 32)).socket("20260101T000000-" + "f" * 12)
    assert len(str(longest)) <= SOCKET_PATH_LIMIT


def test_nginx_asks_the_release_that_current_points_to() -> None:
    layout = Layout(Path("/srv/locallibrary"))
    templates = (ROOT / "roles" / "nginx" / "templates").glob("*.j2")
    text = "".join(path.read_text() for path in templates)
    upstream = f"{layout.current}/run/web.sock".replace("/srv/locallibrary", "{{ nginx_root }}")
    assert f"unix:{upstream}" in text
    # And it looks for the page of maintenance where the release tool puts that.
    on = str(layout.maintenance_on).replace("/srv/locallibrary", "{{ nginx_root }}")
    assert f"(-f {on}/page.html)" in text
    assert f" {on}/allow/$remote_addr;" in text
