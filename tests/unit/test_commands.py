"""The command lines for the droplet, run by a real shell; and the release tool they bring."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from deploy import commands, shipping
from deploy.shipping import tool
from deploy.target import parse
from tests.unit.test_inventory import FACTS

TARGET = parse("web1", FACTS, "inventory/staging.yml")
DIGEST = tool().digest


def sh(command: str, data: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(("sh", "-c", command), input=data, capture_output=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "with a space & 'quote'"
    (folder / "tools").mkdir(parents=True)
    return folder


def install(root: Path, digest: str = DIGEST) -> "subprocess.CompletedProcess[bytes]":
    return sh(commands.install_tool(replace(TARGET, root=str(root)), digest), tool().pack)


@pytest.mark.parametrize("build", [commands.serve, commands.install_tool])
def test_every_command_line_is_one_for_sh(build: object) -> None:
    assert callable(build)
    odd = replace(TARGET, root="/srv/a b;'c", app="my site$")
    assert subprocess.run(("sh", "-n", "-c", build(odd, DIGEST))).returncode == 0


def test_the_tool_is_installed_whole_and_once(root: Path) -> None:
    for _ in range(2):
        done = install(root)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert [path.name for path in (root / "tools").iterdir()] == [DIGEST]
    assert sorted(p.name for p in (root / "tools" / DIGEST).iterdir()) == ["__main__.py", "deploy"]
    assert (root / "tool").readlink() == Path("tools") / DIGEST
    assert (root / "tools" / DIGEST).stat().st_mode & 0o777 == 0o755
    assert not (root / ".tool").is_symlink()


def test_another_version_takes_the_link_over_and_leaves_the_first(root: Path) -> None:
    install(root)
    (root / ".tool").symlink_to("left behind by a killed run")
    assert install(root, "f" * 16).returncode == 0
    assert (root / "tool").readlink() == Path("tools") / ("f" * 16)
    assert sorted(path.name for path in (root / "tools").iterdir()) == sorted([DIGEST, "f" * 16])


def test_half_a_pack_installs_nothing(root: Path) -> None:
    command = commands.install_tool(replace(TARGET, root=str(root)), DIGEST)
    assert sh(command, tool().pack[:2000]).returncode != 0
    assert not (root / "tools" / DIGEST).exists()
    assert not (root / "tool").is_symlink()


def test_a_droplet_that_was_never_provisioned_says_so(tmp_path: Path) -> None:
    done = install(tmp_path / "nowhere")
    assert (done.returncode, done.stdout.decode().strip()) == (0, commands.NOT_PROVISIONED)
    assert sh(commands.serve(replace(TARGET, root=str(tmp_path)), DIGEST)).stdout.decode() == (
        f"{commands.TOOL_MISSING}\n"
    )


def test_the_same_code_has_the_same_digest(tmp_path: Path) -> None:
    code = "from deploy.shipping import tool; print(tool().digest)"
    told = subprocess.run(
        (sys.executable, "-c", code),
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == DIGEST
    assert len(tool().pack) < 100_000


def test_another_code_has_another_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "ENTRY", shipping.ENTRY + "\n")
    assert tool.__wrapped__().digest != DIGEST


@pytest.mark.parametrize("command", ["releases", "status", "rollback", "verify"])
def test_the_tool_starts_from_its_folder_alone(root: Path, command: str) -> None:
    install(root)
    app = "no-such-site-here"
    argv = (sys.executable, "-I", root / "tool", app, command)
    done = subprocess.run(argv, capture_output=True, text=True, cwd="/")
    assert done.returncode == 2
    assert done.stderr == (
        f"{command}: This droplet was never provisioned for {app} "
        f"(/etc/slipway/{app}.json is missing). Run: ansible-playbook site.yml\n"
    )


def test_the_tool_answers_a_controller_in_lines_of_json(root: Path) -> None:
    install(root)
    serve = commands.serve(replace(TARGET, root=str(root), app="no-such-site-here"), DIGEST)
    opening = b'{"who": "ada", "command": "invoke status", "lock": false, "wait": false}\n'
    # The droplet's Python is Debian's own; here it is the one that runs the tests.
    done = sh(serve.replace("/usr/bin/python3", sys.executable), opening)
    assert done.returncode == 2
    assert done.stdout.startswith(b'{"error": {"kind": "refused", "message": "This droplet was')
    assert done.stderr == b""
    assert sh(serve.replace("/usr/bin/python3", sys.executable)).returncode == 0


def test_a_command_in_a_release_arrives_word_for_word() -> None:
    words = ("sh", "-c", "echo \"$HOME\"  'a b'; exit", "")
    argv = commands.manage(TARGET, "20260801T101112-abcdef0", words, program=True)
    far = commands.ssh(TARGET, argv, terminal=False)[-1]
    # What sshd does with it: the user's shell takes it apart again.
    taken = sh(f"set -- {far}; printf '%s\\0' \"$@\"").stdout.decode().split("\0")[:-1]
    assert taken == list(argv)
    assert taken[-len(words) :] == list(words)
    assert "--run" not in commands.manage(TARGET, "20260801T101112-abcdef0", words, program=False)


def test_openssh_asks_nobody_and_trusts_known_hosts_alone() -> None:
    target = replace(TARGET, known_hosts="~/hosts", identity_file="/keys/id", port=2222)
    argv = commands.ssh(target, ("true",), terminal=True)
    assert "-oStrictHostKeyChecking=yes" in argv
    assert "-oPreferredAuthentications=publickey" in argv
    assert f"-oUserKnownHostsFile={Path('~/hosts').expanduser()}" in argv
    assert {"-oIdentityFile=/keys/id", "-oIdentitiesOnly=yes"} < set(argv)
    assert argv[argv.index("-p") + 1] == "2222"
    assert argv[1] == "-tt"
    plain = commands.ssh(replace(TARGET, known_hosts="", identity_file=""), ("true",), False)
    assert plain[1] == "-T"
    assert not [word for word in plain if "UserKnownHostsFile" in word or "Identit" in word]
