"""Wrong input: exit code 2, a sentence that says what helps, and a droplet that was not touched."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.host.layout import Layout
from tests.lab.faults.inside import settle
from tests.lab.site import Done, Site

SETTINGS = "app/locallibrary/settings.py"
MODELS = "app/catalog/models.py"
REQUIREMENTS = "app/requirements.txt"

# Releases, what is live, what runs, and the log of what was done.
LAYOUT = Layout(Path("/srv/locallibrary"))
TOUCHED = f"""
set -e
ls {LAYOUT.releases} {LAYOUT.venvs}
readlink {LAYOUT.current}
wc -l < {LAYOUT.audit_log}
systemctl list-units --no-legend --plain 'locallibrary-web@*'
"""


@pytest.fixture
def site(debian13: Site) -> Iterator[Site]:
    """A droplet with a release that is the same after the test as before it."""
    revision = debian13.git("rev-parse", "HEAD")
    assert debian13.invoke("deploy").code == 0
    settle(debian13)
    before = debian13.ask(TOUCHED)
    yield debian13
    debian13.git("reset", "--quiet", "--hard", revision)
    debian13.git("clean", "--quiet", "--force", "-d")
    assert debian13.ask(TOUCHED) == before


def refused(done: Done, *words: str) -> None:
    assert done.code == 2, done
    assert "Traceback (most recent call last)" not in done.output, done
    for word in words:
        assert word in done.output, f"{word!r} is not in:\n{done}"


def unwrapped(done: Done) -> str:
    """What Ansible said, without the line ends that it put into sentences."""
    return " ".join(done.output.split())


def test_a_dirty_work_tree(site: Site) -> None:
    (site.clone / SETTINGS).open("a").write("# not committed\n")
    refused(site.invoke("deploy"), SETTINGS)


def test_a_revision_that_does_not_exist(site: Site) -> None:
    refused(site.invoke("deploy", "--revision", "no-such-branch"), "no-such-branch")


def test_an_environment_that_does_not_exist(site: Site) -> None:
    refused(site.invoke("deploy", env="mars"), "mars", "local")


def test_an_inventory_without_the_needed_group(site: Site) -> None:
    refused(site.invoke("deploy", env="no-group"), "app")


def test_a_host_that_does_not_answer(site: Site) -> None:
    refused(site.invoke("deploy", env="unreachable"), "10.87.0.250")


def test_a_changed_host_key(site: Site) -> None:
    refused(site.invoke("deploy", env="changed-key"), "host key")


def test_an_unknown_host_key_with_its_fingerprint(site: Site) -> None:
    shown = site.ask("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub").split()[1]
    refused(site.invoke("deploy", env="unknown-key"), shown, "ssh-keygen -lf", "ssh-keyscan")
    played = site.play(env="unknown-key")
    assert played.code != 0, played
    assert shown in unwrapped(played), played
    assert "ssh-keygen -lf" in unwrapped(played), played


def test_a_playbook_says_in_one_sentence_why_it_does_not_get_in(site: Site) -> None:
    changed = site.play(env="changed-key")
    assert "is not the one you know" in unwrapped(changed), changed
    down = site.play(env="unreachable")
    assert "cannot be reached" in unwrapped(down), down
    assert (changed.code != 0, down.code != 0) == (True, True)


def test_a_user_who_may_not_log_in(site: Site) -> None:
    refused(site.invoke("deploy", env="wrong-user"), "stranger")


def test_a_release_that_does_not_exist_with_those_that_do(site: Site) -> None:
    known = site.json("releases")[0]["id"]
    refused(site.invoke("rollback", "20200101T000000-abcdef0"), "20200101T000000-abcdef0", known)


def test_debug_on_in_production(site: Site) -> None:
    settings = (site.clone / SETTINGS).read_text()
    site.commit({SETTINGS: f"{settings}\nDEBUG = True\n"}, "Debug")
    refused(site.invoke("deploy"), "DEBUG")


def test_models_without_their_migration(site: Site) -> None:
    models = (site.clone / MODELS).read_text()
    added = "\n\nclass Shelf(models.Model):\n    name = models.CharField(max_length=20)\n"
    site.commit({MODELS: models + added}, "No migration")
    refused(site.invoke("deploy"), "makemigrations", "catalog")


def test_no_requirements(site: Site) -> None:
    (site.clone / REQUIREMENTS).unlink()
    site.commit({}, "No requirements")
    refused(site.invoke("deploy"), "requirements")


def test_requirements_that_nobody_has(site: Site) -> None:
    site.commit({REQUIREMENTS: "no-such-package-anywhere==7\n"}, "No such package")
    refused(site.invoke("deploy"), "no-such-package-anywhere")


def test_a_disk_too_full_for_the_release(site: Site) -> None:
    """A small file system over the store of files stands for the full disk."""
    site.commit({"app/catalog/static/catalog/big.bin": "x" * 4_000_000}, "Something to ship")
    objects = LAYOUT.objects
    site.ask(f"mount -t tmpfs -o size=2m,uid=$(id -u deploy),mode=755 tmpfs {objects}")
    try:
        refused(site.invoke("deploy"), "disk")
    finally:
        site.ask(f"umount {objects}")
