"""Django projects that are not this repository's, made by the tests: path -> text."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.lab.site import BIN

# Served by ASGI, packages not locked.
TINY = {
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

# The same, with a page that puts a job, a worker that does it, and a cache, all in Redis.
JOBS = {
    **TINY,
    "requirements.txt": TINY["requirements.txt"] + "celery\npackaging\nredis\n",
    "Procfile": TINY["Procfile"] + "worker: celery --app tiny.jobs worker --concurrency 1\n",
    "tiny/jobs.py": """\
import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tiny.settings")
app = Celery("tiny", broker=os.environ["REDIS_URL"])


@app.task
def double(number):
    from django.core.cache import cache

    cache.set("doubled", 2 * number, timeout=3600)
""",
    "tiny/urls.py": """\
from django.core.cache import cache
from django.http import HttpResponse
from django.urls import path

from tiny.jobs import double


async def hello(request):
    return HttpResponse("the shop is open")


def put(request):
    double.delay(int(request.GET["number"]))
    return HttpResponse("put")


def done(request):
    return HttpResponse(str(cache.get("doubled")))


urlpatterns = [path("", hello), path("readyz", hello), path("put", put), path("done", done)]
""",
    "tiny/settings.py": TINY["tiny/settings.py"]
    + """\
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": os.environ["REDIS_URL"],
    }
}
""",
}

# What the settings of `django-admin startproject` lack to be served to the world.
SERVED = """

import os

import dj_database_url

SECRET_KEY = os.environ["SECRET_KEY"]
DEBUG = False
ALLOWED_HOSTS = os.environ["ALLOWED_HOSTS"].split(",")
DATABASES = {"default": dj_database_url.config()}
STATIC_ROOT = BASE_DIR / "staticfiles"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = True
SECURE_HSTS_SECONDS = 31536000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
"""


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def start_project(folder: Path) -> None:
    """`django-admin startproject`, and the settings that a server needs."""
    folder.mkdir()
    subprocess.run([BIN / "django-admin", "startproject", "plain", folder], check=True)
    settings = folder / "plain" / "settings.py"
    settings.write_text(settings.read_text() + SERVED)
    (folder / "requirements.txt").write_text("Django~=5.2.0\ndj-database-url\n")
