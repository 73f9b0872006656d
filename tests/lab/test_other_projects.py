"""A project that is not this repository's: from a folder, packages not locked, served by ASGI."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.lab.inventories import hosts
from tests.lab.site import Site

ENVIRONMENT = "tiny"
FILES = {
    "manage.py": """\
import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tiny.settings")
execute_from_command_line(sys.argv)
""",
    "requirements.txt": "Django~=5.2.0\ndj-database-url\n",
    "Procfile": "web: gunicorn --worker-class asgi --bind 0.0.0.0:$PORT tiny.asgi:application\n",
    "runtime.txt": "python-3.11.9\n",
    "tiny/__init__.py": "",
    "tiny/asgi.py": """\
import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tiny.settings")
application = get_asgi_application()
""",
    "tiny/urls.py": """\
from django.http import HttpResponse
from django.urls import path


async def hello(request):
    return HttpResponse(f"tiny says hello to {type(request).__name__}")


urlpatterns = [path("", hello), path("readyz", hello)]
""",
    "tiny/settings.py": """\
import os
from pathlib import Path

import dj_database_url

BASE_DIR = Path(__file__).parent.parent
SECRET_KEY = os.environ["SECRET_KEY"]
DEBUG = False
ALLOWED_HOSTS = os.environ["ALLOWED_HOSTS"].split(",")
ROOT_URLCONF = "tiny.urls"
ASGI_APPLICATION = "tiny.asgi.application"
DATABASES = {"default": dj_database_url.config()}
INSTALLED_APPS = ["django.contrib.staticfiles"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = True
SECURE_HSTS_SECONDS = 31536000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
CSRF_COOKIE_SECURE = True
""",
}


@pytest.fixture
def site(debian12: Site, tmp_path: Path) -> Iterator[Site]:
    """The droplet, and an environment of it whose source is a folder; afterwards as before."""
    for name, text in FILES.items():
        path = tmp_path / "tiny" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    facts: dict[str, object] = {
        "ansible_host": debian12.address,
        "environment_name": debian12.name,
        "site_domains": [debian12.domain, f"www.{debian12.domain}"],
        "site_source": str(tmp_path / "tiny"),
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
