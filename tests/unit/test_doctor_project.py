"""The doctor on small projects: what it says, and the config vars that it has seen to help."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.console import Console
from doctor import project
from doctor.model import Finding, Verdict
from doctor.packages import Packages
from tests.unit.test_build import TARGET

MANAGE = """\
import os, sys
from django.core.management import execute_from_command_line
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{}")
execute_from_command_line(sys.argv)
"""
GOOD = """\
import os
from pathlib import Path
import dj_database_url
BASE_DIR = Path(__file__).parent.parent
DEBUG = os.environ.get("DJANGO_DEBUG") == "true"
SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = os.environ["ALLOWED_HOSTS"].split(",")
DATABASES = {"default": dj_database_url.config()}
INSTALLED_APPS = ["django.contrib.staticfiles", "shop"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "mysite.urls"
WSGI_APPLICATION = "mysite.wsgi.application"
STATIC_URL, STATIC_ROOT = "/static/", BASE_DIR / "staticfiles"
MEDIA_ROOT = os.environ.get("DJANGO_MEDIA_ROOT", BASE_DIR / "media")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
}
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = CSRF_COOKIE_SECURE = SECURE_HSTS_PRELOAD = True
SECURE_HSTS_INCLUDE_SUBDOMAINS, SECURE_HSTS_SECONDS = True, 31536000
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
"""
FILES = {
    "mysite/__init__.py": "",
    "mysite/urls.py": """\
from django.http import HttpResponse
from django.urls import path
urlpatterns = [path("", HttpResponse), path("readyz", HttpResponse)]
""",
    "shop/__init__.py": "",
    "shop/models.py": """\
from django.db import models
class Book(models.Model):
    cover = models.FileField()
""",
    "shop/migrations/__init__.py": "",
    "shop/migrations/0001_initial.py": """\
from django.db import migrations, models
class Migration(migrations.Migration):
    initial = True
    operations = [migrations.CreateModel("Book", [
        ("id", models.AutoField(
            auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
        ("cover", models.FileField(upload_to=""))])]
""",
    "manage.py": MANAGE.format("mysite.settings"),
    "mysite/settings.py": GOOD,
}
# As they were written for Heroku and before: every fault of the settings at once.
OLD = """\
import os
from pathlib import Path
BASE_DIR = Path(__file__).parent.parent
DEBUG = True
SECRET_KEY = "k"
ALLOWED_HOSTS = ["old.herokuapp.com"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
CACHES = {"default": {
    "BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://:hush@127.0.0.1/0"}}
INSTALLED_APPS = ["django.contrib.staticfiles", "shop"]
MIDDLEWARE = ["whitenoise.middleware.WhiteNoiseMiddleware"]
ROOT_URLCONF = "mysite.urls"
STATIC_URL = "/static/"
MEDIA_ROOT = BASE_DIR / "media"
LOGGING = {"version": 1, "handlers": {"file": {
    "class": "logging.FileHandler", "filename": "/tmp/mysite-debug.log", "delay": True}},
    "root": {"handlers": ["file"]}}
"""
OLD_FILES = {
    "mysite/settings.py": OLD,
    "mysite/urls.py": "urlpatterns = []\n",
    "Procfile": "web: uwsgi uwsgi.ini\nworker: python manage.py work\n",
    "shop/models.py": FILES["shop/models.py"] + "    title = models.CharField(max_length=9)\n",
}


def findings(folder: Path, files: dict[str, str], missing: tuple[str, ...] = ()) -> list[Finding]:
    """What the doctor says of the good project with some files changed."""
    source = folder / "source"
    for name, text in {**FILES, **files}.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    packages = Packages({}, missing, Path(sys.executable))
    target = replace(TARGET, domains=(TARGET.domain,))
    return project.examine(folder, target, source, packages, Console(as_json=True))


def hindering(found: list[Finding]) -> list[tuple[str, str]]:
    return [(one.subject, one.verdict.value) for one in found if one.hinders]


def test_a_project_that_reads_what_the_droplet_has_is_fine(tmp_path: Path) -> None:
    found = findings(tmp_path, {})
    assert hindering(found) == []
    assert {one.subject for one in found if one.verdict is Verdict.FINE} == {
        *("settings", "DEBUG", "SECRET_KEY", "hosts", "database", "HTTPS", "WhiteNoise", "media"),
        *("migrations", "static", "checks", "web"),
    }


def test_an_old_project_is_told_everything_at_once(tmp_path: Path) -> None:
    found = findings(tmp_path, OLD_FILES)
    said = {one.subject: one for one in found}
    for subject, words in {
        "DEBUG": "no variable that the settings read switches it off",
        "SECRET_KEY": "fixed in the code",
        "hosts": "fixed to ['old.herokuapp.com'], and mysite.example.org is not in it",
        "database": "SQLite in the code",
        "HTTPS": "SECURE_PROXY_SSL_HEADER is not set",
        "media": "uploads fail (shop.Book.cover)",
        "cache": "redis://127.0.0.1/0, and the droplet runs no Redis",
        "logs": "LOGGING writes to /tmp/mysite-debug.log",
        "static": "STATIC_ROOT is not set",
        "migrations": "models have changes without a migration (",
        "web": "web runs uwsgi",
    }.items():
        assert words in said[subject].told, subject
        assert said[subject].verdict is Verdict.PROJECT, subject
    assert said["migrations"].command == "manage.py makemigrations"
    assert said["processes"].verdict is Verdict.ADVICE
    assert "worker" in said["processes"].told
    assert [one.told for one in found if one.subject == "pages"] == [
        "the gate asks for /, and no URL of the project is that",
        "the gate asks for /readyz, and no URL of the project is that",
    ]
    *security, way_out = [one for one in found if one.subject == "security"]
    checks = [one.told[:13] for one in security]
    assert sorted(checks) == [f"security.W00{n}" for n in (1, 2, 3)]
    assert way_out.verdict is Verdict.ADVICE
    reasons = ", ".join(f"{check}: WHY" for check in checks)
    assert way_out.command == f"site_accepted_checks: {{{reasons}}}"
    assert "hush" not in str(found)
    assert not any(one.sets for one in found)


def changed(*pairs: tuple[str, str], text: str = GOOD) -> dict[str, str]:
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return {"mysite/settings.py": text}


DATABASE = "dj_database_url.config()"
PARTS = """{"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["DB_NAME"],
    "USER": os.environ["DB_USER"], "PASSWORD": os.environ["DB_PASSWORD"],
    "HOST": os.environ.get("DB_HOST", "localhost"), "PORT": os.environ.get("DB_PORT", "")}"""


def test_config_vars_that_were_seen_to_help_are_told(tmp_path: Path) -> None:
    files = changed(
        ('os.environ.get("DJANGO_DEBUG") == "true"', 'os.environ.get("SITE_DEBUG", "1") == "1"'),
        ('["ALLOWED_HOSTS"]', '.get("SITE_HOSTS", "localhost")'),
        (DATABASE, PARTS),
        ("DJANGO_MEDIA_ROOT", "MEDIA_FOLDER"),
        ("DEFAULT_AUTO", 'ROWS = os.environ.get("MAX_DB_NAME", "9")\nDEFAULT_AUTO'),
        ("SECURE_SSL_REDIRECT = ", 'SECURE_SSL_REDIRECT = os.environ.get("SSL_REDIRECT") == "1"\n'),
        (
            '= ("HTTP_X_FORWARDED_PROTO", "https")',
            '= tuple(os.environ.get("FORWARDED", "").split(","))',
        ),
    )
    found = findings(tmp_path, files)
    assert {one.sets for one in found if one.sets} == {
        ("SITE_DEBUG", "False"),
        ("SITE_HOSTS", "mysite.example.org"),
        ("DB_NAME", "mysite"),
        ("DB_USER", "mysite"),
        ("DB_PASSWORD", ""),
        ("DB_HOST", "/run/postgresql"),
        ("DB_PORT", "5432"),
        ("MEDIA_FOLDER", "/srv/mysite/media"),
        ("SSL_REDIRECT", "1"),
        ("FORWARDED", "HTTP_X_FORWARDED_PROTO,https"),
    }
    assert {verdict for _, verdict in hindering(found)} == {"config var"}
    commands = {one.command for one in found if one.sets}
    assert "invoke config.set SITE_DEBUG=False" in commands
    assert "invoke config.set DB_PASSWORD= --plain" in commands


@pytest.mark.parametrize(("allowed", "subject"), [("[]", "hosts"), ('["*"]', "database")])
def test_settings_that_ask_whether_they_are_on_heroku(
    tmp_path: Path, allowed: str, subject: str
) -> None:
    files = changed(
        ("DEBUG =", 'HEROKU = "DYNO" in os.environ\nDEBUG ='),
        ('["ALLOWED_HOSTS"].split(",")', f'.get("A", "*").split() if HEROKU else {allowed}'),
        (DATABASE, f'{DATABASE} if HEROKU else {{"ENGINE": "django.db.backends.sqlite3"}}'),
    )
    found = findings(tmp_path, files)
    assert [(one.subject, one.sets) for one in found if one.hinders] == [
        (subject, ("DYNO", "True"))
    ]


def test_what_django_asks_for_next_is_told_at_once(tmp_path: Path) -> None:
    files = changed(("SECURE_HSTS_SECONDS = True, 31536000", "SECURE_HSTS_SECONDS = False, 0"))
    (one,) = [one for one in findings(tmp_path, files) if one.hinders]
    assert one.told.startswith("security.W004: ")
    assert one.command == (
        "SECURE_HSTS_SECONDS = 31536000; "
        "SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = True"
    )


def test_a_key_of_another_name_is_made_on_the_droplet_as_well(tmp_path: Path) -> None:
    found = findings(tmp_path, changed(('["SECRET_KEY"]', '["MY_SECRET"]')))
    assert hindering(found) == [("SECRET_KEY", "inventory")]
    (one,) = [one for one in found if one.hinders]
    assert one.command == "app_generated_config_vars: [DJANGO_SECRET_KEY, SECRET_KEY, MY_SECRET]"


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ('KEY = os.environ["API_TOKEN"]; PORT = int(os.environ["API_PORT"])', "both"),
        ('KEY = env("API_TOKEN"); PORT = env("API_PORT")', "both"),
        ('KEY = os.environ.get("API_TOKEN").split(",")', "API_TOKEN"),
    ],
)
def test_a_variable_that_is_required_is_named(tmp_path: Path, line: str, names: str) -> None:
    # As django-environ, python-decouple and environs complain.
    helper = """\
from django.core.exceptions import ImproperlyConfigured
def env(name):
    try:
        return os.environ[name]
    except KeyError:
        raise ImproperlyConfigured(f"Set the {name} environment variable") from None
"""
    found = findings(tmp_path, {"mysite/settings.py": f"{GOOD}{helper}{line}\n"})
    commands = [one.command for one in found if one.hinders]
    assert {verdict for _, verdict in hindering(found)} == {"config var"}
    assert commands[0] == "invoke config.set --secret API_TOKEN"
    assert commands[1:] == (["invoke config.set API_PORT=..."] if names == "both" else [])
    assert not any(one.sets for one in found)


def test_of_split_settings_those_for_production_are_taken(tmp_path: Path) -> None:
    files = {
        "manage.py": MANAGE.format("mysite.settings.local"),
        "mysite/settings/__init__.py": "",
        "mysite/settings/base.py": GOOD.replace("parent.parent", "parent.parent.parent"),
        "mysite/settings/local.py": "from .base import *\nDEBUG = True\n",
        "mysite/settings/production.py": "from .base import *\nKEY = os.environ['API_TOKEN']\n",
    }
    found = findings(tmp_path, files)
    (one, other) = [one for one in found if one.hinders]
    assert one.sets == ("DJANGO_SETTINGS_MODULE", "mysite.settings.production")
    assert other.command == "invoke config.set --secret API_TOKEN"
    assert not [one for one in found if one.subject == "DEBUG" and one.hinders]


@pytest.mark.parametrize(
    ("files", "subject", "told"),
    [
        (
            {"mysite/settings.py": "import decouple_of_mine\n"},
            "settings",
            "No module named 'decouple_of_mine' (mysite/settings.py, line 1)",
        ),
        (
            {"mysite/settings.py": "print 'old'\n"},
            "settings",
            "SyntaxError: Missing parentheses",
        ),
        ({"manage.py": "raise SystemExit('no')\n"}, "settings", "SystemExit: no (manage.py"),
        ({"manage.py": ""}, "settings", "manage.py runs no command of Django's"),
        (
            {"shop/models.py": "import nothing_of_that_name\n"},
            "apps",
            "No module named 'nothing_of_that_name' (shop/models.py, line 1)",
        ),
        ({"mysite/urls.py": "1 / 0\n"}, "URLs", "ZeroDivisionError: division by zero"),
        (
            {"mysite/settings.py": "import os\nos._exit(3)\n"},
            "settings",
            "it ended without an answer: nothing",
        ),
    ],
)
def test_what_does_not_load_is_a_sentence(
    tmp_path: Path, files: dict[str, str], subject: str, told: str
) -> None:
    found = findings(tmp_path, files)
    (one,) = [one for one in found if one.hinders]
    assert (one.subject, one.verdict) == (subject, Verdict.PROJECT)
    assert told in one.told
    assert "Traceback" not in one.told


def test_what_a_missing_wheel_explains_is_not_told_twice(tmp_path: Path) -> None:
    files = {"shop/models.py": "import PIL_of_mine\n"}
    found = findings(tmp_path, files, missing=("pillow",))
    assert hindering(found) == []
    assert [one.told for one in found if one.verdict is Verdict.SKIPPED] == [
        "without pillow they do not load: ModuleNotFoundError: "
        "No module named 'PIL_of_mine' (shop/models.py, line 1)"
    ]


def test_what_a_build_stumbles_over_is_a_sentence(tmp_path: Path) -> None:
    files = changed(("STATIC_URL", 'STATICFILES_DIRS = [BASE_DIR / "assets"]\nSTATIC_URL'))
    css = {"assets/site.css": "a { background: url(gone.png) }\n"}
    found = findings(tmp_path, {**files, **css})
    (one,) = [one for one in found if one.hinders]
    assert (one.subject, one.verdict) == ("build", Verdict.PROJECT)
    assert "gone.png" in one.told
