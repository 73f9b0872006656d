"""Maintenance: what visitors get to read, who sees the site, and what a killed run leaves."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.host import audit, health, maintenance
from deploy.host.context import Context
from deploy.host.errors import BackedOut, Refused
from deploy.host.maintenance import MESSAGE, make_page, parse_addresses
from tests.unit.test_baking import Nginx
from tests.unit.test_health import RELEASE, Asked, instance


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A site's folder; its path is short enough for a unix socket."""
    monkeypatch.setattr(health, "_Local", Nginx)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        monkeypatch.setattr(
            Nginx, "socket_path", path / "releases" / RELEASE.id / "run/web.sock", raising=False
        )
        yield path


@contextmanager
def droplet(room: Path, knows: bool = True) -> Iterator[Context]:
    """A site behind an Nginx that knows maintenance, or one of before."""

    def answer(asked: Asked) -> None:
        page = room / "maintenance" / "on" / "page.html"
        if knows and page.exists():
            asked.say(503, page.read_text())
        else:
            asked.say(200, "The site")

    with instance(room, answer) as (ctx, _):
        yield ctx


def events(ctx: Context) -> list[str]:
    return [entry["event"] for entry in audit.read(ctx.layout)]


@pytest.mark.parametrize(
    ("given", "looked_up"),
    [
        ("203.0.113.7", "203.0.113.7"),
        (" 203.0.113.7 ", "203.0.113.7"),
        ("2001:DB8:0:0::7", "2001:db8::7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
    ],
)
def test_an_address_is_written_as_nginx_writes_it(given: str, looked_up: str) -> None:
    assert parse_addresses([given]) == (looked_up,)


def test_an_address_counts_once() -> None:
    assert parse_addresses(["2001:db8::7", "192.0.2.1", "2001:DB8::7"]) == (
        "2001:db8::7",
        "192.0.2.1",
    )


WRONG = ["", "\n", "203.0.113", "203.0.113.0/24", "203.0.113.7:80", "203.0.113.7,203.0.113.8"]


@pytest.mark.parametrize("wrong", [*WRONG, "office", "../on", "fe80::1%eth0", "fe80::1%/../../x"])
def test_what_is_no_single_address_is_refused(wrong: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_addresses(["203.0.113.7", wrong])
    assert repr(wrong.strip()) in refused.value.message
    assert len(refused.value.message.splitlines()) == 1


def test_a_message_is_text_and_never_markup() -> None:
    page = make_page('<script>alert("1")</script> & {message} \'\n')
    assert "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; {message} &#x27;" in page
    assert "<script>" not in page


def test_on_again_replaces_message_and_addresses_and_keeps_the_beginning(room: Path) -> None:
    with droplet(room) as ctx:
        first = maintenance.begin(ctx, "Back at noon.", ["203.0.113.7"])
        second = maintenance.begin(replace(ctx, who="grace"), "", ["2001:db8::7"])
        assert second == {**first, "message": MESSAGE, "allow": ("2001:db8::7",)}
        assert second["who"] == "ada"
        found = maintenance.read(ctx.layout)
        assert found
        assert found.to_json() == second
        on = ctx.layout.maintenance_on
        assert [path.name for path in (on / "allow").iterdir()] == ["2001:db8::7"]
        assert (on / "page.html").read_text() == make_page(MESSAGE)
        # Nothing is kept of what was replaced.
        kept = {path.name for path in ctx.layout.maintenance.iterdir()}
        assert kept == {"on", on.resolve().name}
        assert [entry["who"] for entry in audit.read(ctx.layout)] == ["ada", "grace"]


def test_off_is_off_and_says_whether_it_was(room: Path) -> None:
    with droplet(room) as ctx:
        assert maintenance.end(ctx) == {"changed": False}
        assert events(ctx) == []
        maintenance.begin(ctx, "", [])
        assert maintenance.end(ctx) == {"changed": True}
        assert maintenance.end(ctx) == {"changed": False}
        assert maintenance.read(ctx.layout) is None
        assert list(ctx.layout.maintenance.iterdir()) == []
        assert events(ctx) == [audit.MAINTENANCE_ON, audit.MAINTENANCE_OFF]


def test_a_wrong_address_changes_nothing(room: Path) -> None:
    with droplet(room) as ctx:
        before = maintenance.begin(ctx, "Back at noon.", [])
        with pytest.raises(Refused):
            maintenance.begin(ctx, "Back at one.", ["203.0.113.7", "203.0.113.0/24"])
        found = maintenance.read(ctx.layout)
        assert found
        assert found.to_json() == before
        assert events(ctx) == [audit.MAINTENANCE_ON]


def test_no_room_for_the_page_changes_nothing(room: Path) -> None:
    with droplet(room) as ctx:
        (room / "maintenance").write_text("in the way")
        with pytest.raises(Refused, match="cannot be written.*Nothing was changed"):
            maintenance.begin(ctx, "", [])
        assert events(ctx) == []


def test_an_nginx_of_before_is_told_apart_and_the_command_named(room: Path) -> None:
    with droplet(room, knows=False) as ctx:
        with pytest.raises(BackedOut, match="answered 200.*Run: ansible-playbook site.yml"):
            maintenance.begin(ctx, "", [])
        assert maintenance.read(ctx.layout) is None
        assert events(ctx) == [audit.MAINTENANCE_ON, audit.MAINTENANCE_OFF]


def test_visitors_are_kept_out_when_they_say_so(room: Path) -> None:
    with droplet(room) as ctx:
        assert maintenance.closed_since(ctx) is None
        begun = maintenance.begin(ctx, "", [])
        assert maintenance.closed_since(ctx) == begun["since"]
        # The page may be one of an older release tool.
        (ctx.layout.maintenance_on / "page.html").write_text("Come back soon")
        assert maintenance.closed_since(ctx) == begun["since"]
    # Somebody ran an older playbook since.
    ctx.layout.socket(RELEASE.id).unlink()
    ctx.layout.socket(RELEASE.id).parent.rmdir()
    with droplet(room, knows=False) as ctx:
        assert maintenance.read(ctx.layout)
        assert maintenance.closed_since(ctx) is None


def test_without_nginx_it_is_on_for_when_that_comes_back(room: Path) -> None:
    with droplet(room) as ctx:
        ctx.layout.socket(RELEASE.id).unlink()
        maintenance.begin(ctx, "", [])
        assert maintenance.read(ctx.layout)


def test_what_a_terminal_sends_that_is_no_text_is_written_all_the_same(room: Path) -> None:
    with droplet(room) as ctx:
        done = maintenance.begin(ctx, os.fsdecode(b"caf\xe9 \xe2\x98\x95"), [])
        assert done["message"] == "caf? \u2615"


def test_what_a_killed_run_left_is_removed_and_what_is_on_is_not(room: Path) -> None:
    with droplet(room) as ctx:
        maintenance.begin(ctx, "", [])
        on = ctx.layout.maintenance_on.resolve()
        half = ctx.layout.maintenance / "20260801T120000000000"
        (half / "allow").mkdir(parents=True)
        (ctx.layout.maintenance / ".on").symlink_to(half.name)
        maintenance.tidy(ctx.layout)
        assert sorted(path.name for path in ctx.layout.maintenance.iterdir()) == [on.name, "on"]
        ctx.layout.maintenance_on.unlink()
        maintenance.tidy(ctx.layout)
        assert list(ctx.layout.maintenance.iterdir()) == []


def test_its_lines_in_the_audit_log_are_about_no_release(room: Path) -> None:
    with droplet(room) as ctx:
        maintenance.begin(ctx, "", [])
        assert audit.fold(audit.read(ctx.layout)) == {}
