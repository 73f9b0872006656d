"""A project that is not this repository's: from a folder, packages not locked, served by ASGI."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.lab.inventories import hosts
from tests.lab.projects import TINY, write
from tests.lab.roles import play
from tests.lab.site import Site

ENVIRONMENT = "tiny"
FILE = "/srv/locallibrary/data/db.sqlite3"
DBSHELL = "python manage.py dbshell"


# A database that Django itself fills, and what a later revision adds to it.
USERS = '["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.staticfiles"]'
SESSIONS = f'SESSION_COOKIE_SECURE = True\nINSTALLED_APPS = ["django.contrib.sessions", *{USERS}]\n'


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with the project; no repository."""
    write(tmp_path / "tiny", TINY)
    return tmp_path / "tiny"


@pytest.fixture
def site(debian12: Site, source: Path) -> Iterator[Site]:
    """The droplet, and an environment of it whose source is a folder; afterwards as before."""
    facts: dict[str, object] = {
        "ansible_host": debian12.address,
        "environment_name": debian12.name,
        "site_domains": [debian12.domain, f"www.{debian12.domain}"],
        "site_source": str(source),
        "site_project": ".",
        "site_extra_packages": ["gunicorn", "psycopg[binary]"],
    }
    inventory = debian12.clone / "inventory" / f"{ENVIRONMENT}.yml"
    inventory.write_text(f"---\n{yaml.safe_dump(hosts(debian12.name, facts))}")
    yield debian12
    inventory.unlink()
    assert debian12.invoke("deploy").code == 0


def test_a_folder_is_deployed_as_it_declares_itself(site: Site) -> None:
    done = site.invoke("deploy", env=ENVIRONMENT)
    assert done.code == 0, done
    assert "requirements.txt resolved to" in done.output, done
    assert site.get().body == "tiny says hello to ASGIRequest"
    release = site.release()
    again = site.invoke("deploy", env=ENVIRONMENT)
    assert "othing changed" in again.output, again
    assert site.release() == release
    assert "--bind" not in site.ask("cat /srv/locallibrary/current/bin/web")


def test_uvicorns_worker_serves_it_as_well(site: Site, source: Path) -> None:
    line = "web: gunicorn --worker-class uvicorn_worker.UvicornWorker tiny.asgi:application\n"
    (source / "Procfile").write_text(line)
    with (source / "requirements.txt").open("a") as requirements:
        requirements.write("uvicorn-worker\n")
    done = site.invoke("deploy", env=ENVIRONMENT)
    assert done.code == 0, done
    assert site.get().body == "tiny says hello to ASGIRequest"
    assert json.loads(site.invoke("status", "--json", env=ENVIRONMENT).stdout)["problems"] == []
    said = site.ask("journalctl --unit='locallibrary-web@*' --boot --output=cat --lines=200")
    assert "uvicorn_worker.UvicornWorker" in said


@pytest.fixture
def in_a_file(site: Site, source: Path) -> Iterator[Site]:
    """The same with its database in a file; with PostgreSQL again afterwards."""
    settings = source / "tiny" / "settings.py"
    settings.write_text(settings.read_text() + f"INSTALLED_APPS = {USERS}\n")
    done = play(site, ["packages", "app"], site_database="sqlite")
    assert done.code == 0, done
    yield site
    done = play(site, ["app"])
    assert done.code == 0, done


@pytest.mark.slow
def test_a_database_in_a_file_outlives_releases(in_a_file: Site, source: Path) -> None:
    site = in_a_file
    done = site.invoke("deploy", env=ENVIRONMENT)
    assert done.code == 0, done
    made = ("--username", "ada", "--email", "ada@example.org", "--noinput")
    done = site.invoke("manage", env=ENVIRONMENT, words=("createsuperuser", *made))
    assert done.code == 0, done
    with (source / "tiny" / "settings.py").open("a") as settings:
        settings.write(SESSIONS)
    before = site.release()
    done = site.invoke("deploy", env=ENVIRONMENT)
    assert done.code == 0, done
    assert "restore point of" in done.output, done
    assert site.release() != before
    asked = "SELECT username FROM auth_user; SELECT count(*) FROM django_session"
    done = site.invoke("run", env=ENVIRONMENT, words=("sh", "-c", f"echo '{asked}' | {DBSHELL}"))
    assert done.stdout.split() == ["ada", "0"], done
    told = json.loads(site.invoke("status", "--json", env=ENVIRONMENT).stdout)
    assert told["database"]["bytes"] == int(site.ask(f"stat -c %s {FILE}"))
    assert told["restore_point"]["bytes"] > 1000
    # No visitor, and not Nginx itself, gets at it.
    assert site.get("/data/db.sqlite3").status == 404
    assert site.ssh(f"runuser -u www-data -- cat {FILE}").code != 0
    assert site.invoke("rollback", env=ENVIRONMENT).code == 0
    assert site.release() == before
