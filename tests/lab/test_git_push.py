"""`git push droplet main`: the droplet builds and deploys what is pushed, and tells how it goes."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import paths
from tests.lab.faults.controller import DEPLOY
from tests.lab.roles import play
from tests.lab.site import Done, Site, environment
from tests.lab.test_deploy import LAYOUT, RAISES, SLOW_START, WSGI, new_revision, wait_for_lock

pytestmark = pytest.mark.slow

REPOSITORY = "/srv/locallibrary/repo.git"
LIBRARY = "/usr/local/lib/slipway"
ROLES = ("app", "git_push")
CERTIFICATES = "/usr/local/share/this-machine.pem"
SSH = (
    f"ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -i {paths.SSH_KEY} "
    f"-o UserKnownHostsFile={paths.KNOWN_HOSTS}"
)
PUSHER = paths.SSH_KEY.with_suffix(".pub")


@pytest.fixture(scope="module")
def site(debian13: Site) -> Iterator[Site]:
    """The droplet with a release of a controller, taking pushes; afterwards as before."""
    done = debian13.invoke("deploy")
    assert done.code == 0, done
    reach_the_index(debian13)
    done = play(debian13, ROLES, site_git_push=True)
    assert done.code == 0, done
    debian13.git("remote", "add", "droplet", f"deploy@{debian13.address}:{REPOSITORY}")
    yield debian13
    done = play(debian13, ROLES)
    assert done.code == 0, done
    debian13.git("remote", "remove", "droplet")


@pytest.fixture
def as_before(site: Site) -> Iterator[None]:
    """The clone's revision is put back after the test."""
    revision = site.git("rev-parse", "HEAD")
    yield
    site.git("reset", "--quiet", "--hard", revision)


def reach_the_index(site: Site) -> None:
    """Let pip and uv on the droplet reach the packages as this machine's own do."""
    told = {name: value for name, value in os.environ.items() if name.startswith(("UV_", "PIP_"))}
    # A folder of this machine is none of the droplet's.
    told = {name: value for name, value in told.items() if not value.startswith("/")}
    certificates = os.environ.get("SSL_CERT_FILE")
    if certificates:
        put(site, Path(certificates).read_text(), CERTIFICATES)
        told |= dict.fromkeys(("SSL_CERT_FILE", "PIP_CERT"), CERTIFICATES)
    put(site, "".join(f"{name}={value}\n" for name, value in told.items()), "/etc/environment")
    for file in (Path("/etc/uv/uv.toml"), Path.home() / ".config" / "uv" / "uv.toml"):
        if file.exists():
            put(site, file.read_text(), "/etc/uv/uv.toml")


def put(site: Site, text: str, path: str) -> None:
    done = subprocess.run(
        (*SSH.split(), f"root@{site.address}", f"umask 022; install -D -m 644 /dev/stdin {path}"),
        input=text,
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done


def start(site: Site, *arguments: str) -> "subprocess.Popen[str]":
    """git push, left running in a process group of its own, as a shell would start it.

    By force, as each test begins where the one before it began.
    """
    return subprocess.Popen(
        ("git", "push", "--force", *arguments),
        cwd=site.clone,
        env={**environment(), "GIT_SSH_COMMAND": SSH},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def push(site: Site, *arguments: str) -> Done:
    process = start(site, *arguments)
    said, _ = process.communicate(timeout=300)
    return Done(f"git push {' '.join(arguments)}", process.returncode, said, "")


def branch(site: Site) -> str:
    """The commit that the repository's branch is at."""
    return site.ask(f"runuser -u deploy -- git -C {REPOSITORY} rev-parse main")


def pusher() -> str:
    """The comment of the key that pushes."""
    return PUSHER.read_text().split(maxsplit=2)[2].strip()


def test_a_push_goes_the_whole_journey_and_tells_of_it(site: Site, as_before: None) -> None:
    before = site.release()
    revision = new_revision(site, "Pushed by git")
    done = push(site, "droplet", "main")
    assert done.code == 0, done
    ended = re.findall(r"^remote: done\s+[\d.]+ s\s+(\w+)", done.output, re.MULTILINE)
    assert tuple(ended) == DEPLOY, done
    live = site.release()
    assert live != before
    assert live.endswith(revision)
    assert f"remote: {live} is live: https://{site.domain}/" in done.output, done
    assert "\x1b" not in done.output

    told = site.json("releases")[0]
    assert told["revision"] == site.git("rev-parse", "HEAD") == branch(site)
    assert told["built_by"] == pusher()
    last = site.ask(f"grep '\"live\"' {LAYOUT.audit_log} | tail -n 1")
    assert f'"who": "{pusher()}"' in last

    again = push(site, "droplet", "main")
    assert again.code == 0
    assert "Everything up-to-date" in again.output


def test_a_controller_finds_what_was_pushed_as_its_own(site: Site, as_before: None) -> None:
    new_revision(site, "Pushed, then deployed")
    assert push(site, "droplet", "main").code == 0
    live = site.release()
    done = site.invoke("deploy")
    assert done.code == 0, done
    assert f"Nothing changed: {live} is live" in done.output, done
    done = site.invoke("rollback")
    assert done.code == 0, done
    assert site.release() != live


def test_a_push_whose_deploy_fails_is_rejected(site: Site, as_before: None) -> None:
    before, at = site.release(), branch(site)
    wsgi = (site.clone / WSGI).read_text()
    site.commit({WSGI: wsgi + RAISES}, "Break it")
    done = push(site, "droplet", "main")
    assert done.code == 1, done
    assert "remote: backed out: " in done.output, done
    assert "pre-receive hook declined" in done.output, done
    assert (site.release(), branch(site)) == (before, at)

    revision = site.commit({WSGI: wsgi}, "Mend it")
    done = push(site, "droplet", "main")
    assert done.code == 0, done
    assert site.release().endswith(revision)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("HEAD:refs/heads/next",), "refused: next is not deployed here, main is"),
        (("HEAD:refs/tags/v1",), "refused: v1 is not deployed here, main is"),
        ((":main",), "refused: main is what is deployed here, and stays"),
        (("HEAD:refs/heads/next", "HEAD:refs/heads/main"), "refused: 2 branches and tags came"),
        (("-o", "fast", "HEAD:main"), "refused: No push option fast; there are:"),
    ],
)
def test_what_is_not_deployed_is_refused(
    site: Site, as_before: None, words: tuple[str, ...], said: str
) -> None:
    before = site.release(), branch(site)
    new_revision(site, "Not deployed")
    options = tuple(word for word in words if ":" not in word)
    refs = tuple(word for word in words if ":" in word)
    done = push(site, *options, "droplet", *refs)
    assert done.code == 1, done
    assert f"remote: {said}" in done.output, done
    assert (site.release(), branch(site)) == before


def test_a_push_and_a_controller_take_turns(site: Site, as_before: None) -> None:
    wsgi = (site.clone / WSGI).read_text()
    site.commit({WSGI: wsgi + SLOW_START}, "Start slowly")
    first = start(site, "droplet", "main")
    try:
        wait_for_lock(site, first)
        second = site.invoke("deploy")
        assert second.code == 2, second
        assert f"{pusher()} has been running `git push` here since" in second.output, second
        assert first.wait(timeout=120) == 0
    finally:
        first.kill()
        first.communicate()

    site.commit({WSGI: f"{wsgi}{SLOW_START}# Again.\n"}, "Start slowly again")
    controller = site.start("deploy")
    try:
        wait_for_lock(site, controller)
        done = push(site, "droplet", "main")
        assert done.code == 1, done
        assert "has been running `invoke deploy` here since" in done.output, done
        assert controller.wait(timeout=120) == 0
    finally:
        controller.kill()
        controller.communicate()


@pytest.mark.parametrize("phase", ["build", "gate"])
def test_a_push_that_is_broken_off_backs_out(site: Site, as_before: None, phase: str) -> None:
    """Ctrl-C at the terminal ends git and ssh; for the droplet it is a connection that is lost."""
    before, at = site.release(), branch(site)
    wsgi = (site.clone / WSGI).read_text()
    site.commit({WSGI: f"{wsgi}{SLOW_START}# {time.time()}\n"}, f"Break off in {phase}")
    process = start(site, "droplet", "main")
    assert process.stdout
    before_it = DEPLOY[DEPLOY.index(phase) - 1]
    for line in process.stdout:
        if re.match(rf"remote: done .* {before_it}\b", line):
            break
    os.killpg(process.pid, signal.SIGINT)
    process.communicate()
    assert process.returncode != 0

    deadline = time.monotonic() + 120
    while (
        site.ssh("pgrep --full '/tools/[^ ]* locallibrary serve|[g]it_push|lib/slipway'").code == 0
    ):
        assert site.get().status == 200
        assert time.monotonic() < deadline, site.ask("ps axfu")
        time.sleep(0.5)
    assert site.ssh(f"flock --nonblock {LAYOUT.lock} true").code == 0
    assert (site.release(), branch(site)) == (before, at)
    done = push(site, "droplet", "main")
    assert done.code == 0, done
    assert "is live" in done.output, done
    assert branch(site) == site.git("rev-parse", "HEAD")


def test_what_it_leaves_on_the_droplet_is_bounded(site: Site) -> None:
    left = site.ask(f"ls -A {LAYOUT.builder}").split()
    assert sorted(left) == [".slipway", "uv"]
    for folder in ("source", "packages", "venv", "static", "sbom"):
        assert int(site.ask(f"ls {LAYOUT.builder}/.slipway/cache/{folder} | wc -l")) <= 5
    # Nothing that a push could change is what it runs.
    assert site.ask(f"find {LIBRARY} ! -user root -o -perm /022 ! -type l") == ""


def test_the_role_changes_nothing_the_second_time(site: Site) -> None:
    done = play(site, ROLES, site_git_push=True)
    assert done.code == 0, done
    assert "changed=0" in done.output, done


def test_switched_off_it_takes_no_push_any_more(site: Site, as_before: None) -> None:
    before = site.release()
    new_revision(site, "Too late")
    assert play(site, ROLES).code == 0
    try:
        done = push(site, "droplet", "main")
        assert done.code == 128, done
        assert "does not appear to be a git repository" in done.output, done
        assert site.release() == before
        assert site.ask(f"ls {LAYOUT.root}").split().count("builder") == 0
        again = play(site, ROLES)
        assert "changed=0" in again.output, again
    finally:
        assert play(site, ROLES, site_git_push=True).code == 0
