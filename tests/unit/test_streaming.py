"""A database on its way: what the other side says, and what is left when the way breaks off.

`ssh` is a program of these tests, which does what the droplet would.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from deploy import streaming
from deploy.errors import BackedOut, Refused
from deploy.streaming import Source, Trouble
from deploy.target import Target, parse
from tests.unit.test_inventory import FACTS

TARGET = replace(parse("web1", FACTS, "inventory/staging.yml"), admin="ada")
HEADER = {"anonymise": None}
# More than a pipe holds.
ARCHIVE = ("sh", "-c", "head -c 200000 /dev/zero")
TAKES_ALL = """
header = sys.stdin.buffer.readline().decode().strip()
size = len(sys.stdin.buffer.read())
print('{"phase": "restore"}', flush=True)
print('{"done": {"bytes": %d, "header": %s}}' % (size, header))
"""
Droplet = Callable[[str], Target]


@pytest.fixture
def droplet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Droplet:
    def made(script: str) -> Target:
        program = tmp_path / "ssh"
        program.write_text(f"#!{sys.executable}\nimport os, sys\n{script}")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return TARGET

    return made


def test_an_operator_is_asked_by_sudo(droplet: Droplet) -> None:
    target = droplet("import json; print(json.dumps({'done': {'words': sys.argv[-3:]}}))")
    words = streaming.ask(target, "forget", "shop_replaced_1")["words"]
    command = f"sudo -n /usr/local/sbin/slipway-database forget {target.app} shop_replaced_1"
    assert words == [f"ada@{target.host}", "--", command]


def test_what_the_droplet_says_is_wrong_is_told(droplet: Droplet) -> None:
    target = droplet("""print('{"error": {"message": "there is none", "detail": ["a", "b"]}}')""")
    with pytest.raises(Trouble) as told:
        streaming.ask(target, "show")
    assert told.value.args == ("there is none", "a", "b")


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("sudo: /x: command not found", "ansible-playbook -i inventory/staging.yml site.yml"),
        ("sudo: a password is required", "ada@.* gets no answer: sudo: a password is required"),
        ("", "the connection ended. See site_operators"),
    ],
)
def test_who_gets_no_answer_learns_why(droplet: Droplet, said: str, sentence: str) -> None:
    target = droplet(f"sys.exit({said!r})")
    with pytest.raises(Refused, match=sentence):
        streaming.ask(target, "show")


def test_an_archive_goes_through_whole_behind_its_header(droplet: Droplet) -> None:
    sent: list[int] = []
    phases: list[str] = []
    target, source = droplet(TAKES_ALL), Source("production", ARCHIVE)
    answer = streaming.receive(target, source, HEADER, sent.append, phases.append)
    assert answer == {"bytes": 200000, "header": HEADER}
    assert (sum(sent), phases) == (200000, ["restore"])


def test_an_archive_that_breaks_off_is_the_source_s_fault(droplet: Droplet) -> None:
    source = Source("production", ("sh", "-c", "head -c 100000 /dev/zero; echo gone >&2; exit 1"))
    # Whatever the droplet makes of half an archive.
    for script in (TAKES_ALL, """print('{"error": {"message": "short", "detail": []}}')"""):
        target = droplet(script if "header" in script else f"sys.stdin.buffer.read()\n{script}")
        with pytest.raises(BackedOut, match="database of production broke off: gone"):
            streaming.receive(target, source, HEADER, len_of, unheard)


def len_of(count: int) -> None:
    assert count


def unheard(phase: str) -> None:
    """Nobody looks on."""


def test_a_droplet_that_takes_no_more_says_why(droplet: Droplet) -> None:
    target = droplet(
        """sys.stdin.buffer.readline(); os.close(0)
print('{"error": {"message": "the disk is full", "detail": []}}')"""
    )
    with pytest.raises(Trouble, match="the disk is full"):
        streaming.receive(target, Source("production", ARCHIVE), HEADER, len_of, unheard)


def test_a_connection_that_is_lost_changed_nothing(droplet: Droplet) -> None:
    target = droplet("sys.stdin.buffer.readline(); sys.exit('Connection closed by 10.0.0.1')")
    with pytest.raises(BackedOut, match="with web1 broke off: Connection closed.*It keeps"):
        streaming.receive(target, Source("production", ARCHIVE), HEADER, len_of, unheard)


def test_a_file_comes_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "library.dump"
    streaming.save(Source("production", ARCHIVE), file, len_of)
    assert (file.stat().st_size, file.stat().st_mode & 0o777) == (200000, 0o600)
    broken = Source("production", ("sh", "-c", "echo x; echo gone >&2; exit 1"))
    with pytest.raises(BackedOut, match="broke off: gone"):
        streaming.save(broken, tmp_path / "broken.dump", len_of)
    with pytest.raises(Refused, match="nowhere/library.dump cannot be written"):
        streaming.save(Source("p", ARCHIVE), tmp_path / "nowhere" / "library.dump", len_of)
    assert [path.name for path in tmp_path.iterdir()] == ["library.dump"]
