"""A push by git: what is taken, who pushed it, and what the pusher reads when it is not."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy import git_push
from deploy.errors import Refused
from deploy.host.site import Site
from deploy.shipping import tool
from tests.unit.test_inventory import FACTS
from tests.unit.test_session import OPENS

ROOT = Path(__file__).resolve().parents[2]
OLD, NEW, GONE = "1" * 40, "2" * 40, "0" * 40
KEY = base64.b64encode(b"a public key").decode()
FINGERPRINT = f"SHA256:{base64.b64encode(hashlib.sha256(b'a public key').digest()).decode()[:-1]}"

# Of a release tool: what it was told, and which variables of git it was given.
REFUSES = """
git = [name for name in os.environ if name.startswith("GIT_")]
told = f"held from {opening['who']}; wait: {opening['wait']}; git: {git}"
say(error={"kind": "refused", "message": told, "detail": []})
"""


# --- what is deployed ---


def test_the_branch_that_is_deployed_gives_its_commit() -> None:
    assert git_push.pushed([f"{OLD} {NEW} refs/heads/main"], "main") == NEW
    assert git_push.pushed([f"{GONE} {NEW} refs/heads/live/v2"], "live/v2") == NEW


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ["refs/heads/next"],
            "next is not deployed here, main is .* droplet next^0:refs/heads/main",
        ),
        (["refs/tags/v1"], "v1 is not deployed here, main is .* droplet v1^0:refs/heads/main"),
        (["refs/tags/main"], "main is not deployed here"),
        (["refs/notes/main"], "refs/notes/main is not deployed here"),
        (["refs/heads/main", "refs/tags/v1"], "2 branches and tags came at once, .*git push "),
    ],
)
def test_everything_else_is_refused_with_what_to_type(lines: list[str], said: str) -> None:
    with pytest.raises(Refused) as refused:
        git_push.pushed([f"{OLD} {NEW} {ref}" for ref in lines], "main")
    words = said.split(".*")
    assert [word for word in words if word.strip() not in refused.value.message] == []


def test_a_deletion_is_refused() -> None:
    with pytest.raises(Refused, match="main is what is deployed here, and stays.*invoke rollback"):
        git_push.pushed([f"{OLD} {GONE} refs/heads/main"], "main")


def test_options_are_those_of_a_deploy() -> None:
    assert git_push.options({}) == set()
    given = {"GIT_PUSH_OPTION_COUNT": "1", "GIT_PUSH_OPTION_0": "wait"}
    assert git_push.options(given) == {"wait"}
    with pytest.raises(Refused, match="No push option force; there are: allow-breaking, wait"):
        git_push.options({"GIT_PUSH_OPTION_COUNT": "1", "GIT_PUSH_OPTION_0": "force"})


# --- who pushed ---


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def came_in_by(home: Path, key: str = KEY) -> str:
    """sshd's file on a log-in with this key."""
    (home / "auth").write_text(f"publickey ssh-ed25519 {key}\n")
    return str(home / "auth")


@pytest.mark.parametrize(
    ("line", "who"),
    [
        (f"ssh-ed25519 {KEY} ada@example.org", "ada@example.org"),
        (f'from="192.0.2.7" ssh-ed25519 {KEY} Ada Lovelace ', "Ada Lovelace"),
        (f"ssh-ed25519 {KEY}", FINGERPRINT),
        (f"#ssh-ed25519 {KEY} formerly", FINGERPRINT),
        ("ssh-ed25519 AAAA eve@example.org", FINGERPRINT),
    ],
)
def test_the_pusher_is_who_the_key_belongs_to(home: Path, line: str, who: str) -> None:
    (home / ".ssh/authorized_keys").write_text(f"ssh-ed25519 BBBB other\n{line}\n")
    assert git_push.pusher(came_in_by(home), home) == who


def test_whoever_pushes_on_the_droplet_itself_is_told_as_such(home: Path) -> None:
    assert git_push.pusher(None, home).endswith(" on the droplet")


# --- the folder of the builds ---


@pytest.fixture
def builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> git_push._Builder:
    for name in ("TMPDIR", "UV_CACHE_DIR"):
        # Put back after the test.
        monkeypatch.setenv(name, "")
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "builder").mkdir()
    return git_push._Builder(tmp_path / "builder", min_free_mb=200)


def test_a_build_that_would_fill_the_disk_is_refused(
    builder: git_push._Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    nearly_full = SimpleNamespace(free=499_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: nearly_full)
    with pytest.raises(Refused, match="needs 500 MB free under .*/builder, and there are 499 MB"):
        builder.__enter__()


def test_what_grows_with_each_build_is_kept_small(
    builder: git_push._Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_push, "CACHE_BYTES", 1000)
    folder = tmp_path / "builder"
    day_before_yesterday = time.time() - 2 * 86400
    for name, size in (
        ("uv", 2000),
        (".slipway/cache/gzip", 10),
        ("push-dead", 1),
        ("push-new", 1),
    ):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_bytes(b"x" * size)
    os.utime(folder / "push-dead", (day_before_yesterday,) * 2)
    with builder as entered:
        assert entered == folder
        assert Path(os.environ["TMPDIR"]).parent == folder
        assert Path(os.environ["UV_CACHE_DIR"]).parent == folder
    assert sorted(path.name for path in folder.iterdir()) == [".slipway", "push-new"]
    assert (folder / ".slipway/cache/gzip/file").exists()


# --- a real push ---


@pytest.fixture
def droplet(tmp_path: Path) -> Path:
    """A repository with the hook, the facts of a site, and a release tool that is held by Ada."""
    folder = tmp_path / "droplet"
    for name in ("etc", "builder", "hooks", f"tools/{tool().digest}"):
        (folder / name).mkdir(parents=True)
    # Of what is the droplet's alone only this matters here.
    told = {**dict.fromkeys((field.name for field in fields(Site)), ""), "min_free_mb": 1}
    told |= {**FACTS, "root": str(folder), "project": "app", "revision": ""}
    (folder / "etc" / "mysite.json").write_text(json.dumps(told))
    program = OPENS.replace("say(result=opening)", REFUSES)
    (folder / f"tools/{tool().digest}/__main__.py").write_text(program)
    hook = folder / "hooks" / "pre-receive"
    hook.write_text(f"""#!{sys.executable}
import sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from deploy.git_push import main
sys.exit(main(["mysite"], Path({str(folder / "etc")!r})))
""")
    hook.chmod(0o755)
    repository = folder / "repo.git"
    git(folder, "init", "--quiet", "--bare", str(repository))
    git(repository, "config", "core.hooksPath", str(folder / "hooks"))
    git(repository, "config", "receive.advertisePushOptions", "true")
    return folder


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    (folder / "app").mkdir(parents=True)
    (folder / "app" / "manage.py").write_text("")
    git(tmp_path, "init", "--quiet", "--initial-branch=main", str(folder))
    git(folder, "add", "--all")
    ada = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    git(folder, *ada, "commit", "--quiet", "--message", "First")
    return folder


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(("git", *arguments), cwd=folder, check=True)


def push(clone: Path, droplet: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ("git", "push", str(droplet / "repo.git"), *arguments),
        cwd=clone,
        env={name: value for name, value in os.environ.items() if name != "SSH_USER_AUTH"},
        capture_output=True,
        text=True,
    )


def test_a_push_that_is_refused_says_why_and_leaves_no_branch(clone: Path, droplet: Path) -> None:
    done = push(clone, droplet, "--push-option=wait", "main")
    assert done.returncode == 1, done
    # The commit was found where git keeps it until the hook has agreed; then the tool was asked.
    # What git told the hook is none of anybody else's.
    assert "on the droplet; wait: True; git: []" in done.stderr, done
    assert "pre-receive hook declined" in done.stderr
    listed = ("git", "for-each-ref")
    assert not subprocess.run(listed, cwd=droplet / "repo.git", capture_output=True).stdout


def test_another_branch_is_refused_before_the_tool_is_asked(clone: Path, droplet: Path) -> None:
    done = push(clone, droplet, "main:next")
    assert done.returncode == 1, done
    assert "remote: refused: next is not deployed here, main is" in done.stderr, done
    assert "held" not in done.stderr


def test_a_droplet_without_facts_is_a_sentence(clone: Path, droplet: Path) -> None:
    (droplet / "etc" / "mysite.json").unlink()
    done = push(clone, droplet, "main")
    assert "remote: refused: This droplet was never provisioned for mysite" in done.stderr, done
    assert "Traceback" not in done.stderr


def test_a_push_that_is_broken_off_ends_the_hook(clone: Path, droplet: Path) -> None:
    begun, left = droplet / "begun", droplet / "left"
    (droplet / f"tools/{tool().digest}/__main__.py").write_text(f"""\
import sys
sys.stdin.buffer.readline()
open({str(begun)!r}, "w").close()
while sys.stdin.buffer.readline():
    pass
with open({str(left)!r}, "w") as file:
    file.write("its input ended")
""")
    pushing = subprocess.Popen(
        ("git", "push", str(droplet / "repo.git"), "main"),
        cwd=clone,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(begun)
    pushing.kill()
    pushing.wait()
    # The tool's input ends: the hook is gone, though git would go on listening to it.
    wait_for(left)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 10
    while not path.exists() or (path.name == "left" and not path.read_text()):
        assert time.monotonic() < deadline, path
        time.sleep(0.05)
