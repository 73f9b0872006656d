"""What a deploy does not wait for: another login, and an old instance that is still busy."""

import subprocess
import time
from collections.abc import Iterator

import pytest

from deploy.multiplexed import WORD_SECONDS
from lab import paths
from tests.lab.site import Site, until

APP = "locallibrary"
LOGINS = "journalctl --unit ssh --grep 'Accepted publickey for deploy' --quiet | wc -l"
# sshd's own processes of the deploy user: one for each connection.
CONNECTIONS = "-u deploy -f sshd"
INSTANCES = f"systemctl list-units --all --plain --no-legend '{APP}-web@*.service'"
WSGI = f"app/{APP}/wsgi.py"
# Less than the 30 s after which Gunicorn takes a worker for lost.
SECONDS = 26
SLOW_PAGE = f"""
import time

_page = application


def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep({SECONDS})
    return _page({{**environ, "PATH_INFO": "/"}}, start_response)
"""


@pytest.fixture
def as_before(site: Site) -> Iterator[None]:
    """The clone's revision is put back after the test, and deployed."""
    revision = site.git("rev-parse", "HEAD")
    yield
    site.git("reset", "--quiet", "--hard", revision)
    done = site.invoke("deploy")
    assert done.code == 0, done


def well(site: Site) -> float:
    """Seconds that a question takes."""
    begun = time.monotonic()
    done = site.invoke("releases")
    assert done.code == 0, done
    return time.monotonic() - begun


def test_one_login_is_enough_for_several_commands(site: Site) -> None:
    well(site)
    before = int(site.ask(LOGINS))
    well(site)
    well(site)
    assert int(site.ask(LOGINS)) == before


def test_a_connection_that_was_cut_is_made_again(site: Site) -> None:
    well(site)
    before = int(site.ask(LOGINS))
    site.ask(f"pkill {CONNECTIONS}")
    well(site)
    assert int(site.ask(LOGINS)) == before + 1


def test_one_that_nobody_answers_any_more_is_left(site: Site) -> None:
    well(site)
    site.ask(f"pkill -STOP {CONNECTIONS}")
    try:
        assert well(site) >= WORD_SECONDS
        well(site)
    finally:
        site.ask(f"pkill -KILL {CONNECTIONS}")


def test_a_request_of_the_old_instance_is_finished_and_not_waited_for(
    site: Site, as_before: None
) -> None:
    text = (site.clone / WSGI).read_text()
    site.commit({WSGI: text + SLOW_PAGE}, "A page that takes its time")
    done = site.invoke("deploy")
    assert done.code == 0, done
    old = site.release()
    # With a change of its own: of the same files nothing would be deployed again afterwards.
    site.commit({WSGI: text, "app/CHANGES.txt": "quick\n"}, "And one that does not")
    visitor = subprocess.Popen(
        (
            *("curl", "--silent", "--include", "--max-time", str(SECONDS * 3)),
            *("--resolve", f"{site.domain}:443:{site.address}"),
            *("--cacert", str(paths.ACME_ROOT), f"https://{site.domain}/slow"),
        ),
        stdout=subprocess.PIPE,
        text=True,
    )
    done = site.invoke("deploy")
    assert done.code == 0, done
    assert site.release() != old
    assert visitor.poll() is None, "the request was over before the deploy was"
    assert f"{old}.service" in site.ask(INSTANCES)
    # It is on its way out, and nothing that a later command would have to put right.
    assert "recover" not in site.invoke("ps.restart", "web").output
    answer, _ = visitor.communicate(timeout=SECONDS * 3)
    assert " 200" in answer.splitlines()[0], answer
    assert old in answer
    until(lambda: site.ask(f"ls /run/{APP}") == site.release(), 20)
    assert old not in site.ask(INSTANCES)
