"""The settings as a server meets them: a new process with its own environment."""

import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

from django.test import SimpleTestCase

from locallibrary import settings

PROJECT = Path(__file__).resolve().parents[2]
PRODUCTION = {
    "DJANGO_SECRET_KEY": "dGhpcyBpcyBvbmx5IGEgdGVzdCBidXQgbG9uZyBlbm91Z2g-42-more",
    "DJANGO_ALLOWED_HOSTS": "library.example.org",
    "DJANGO_CSRF_TRUSTED_ORIGINS": "https://library.example.org",
    "DATABASE_URL": "postgres://locallibrary@%2Frun%2Fpostgresql/locallibrary",
}


def manage(*arguments, **environment):
    ours = ("DJANGO_", "DATABASE_URL", "EMAIL_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        [sys.executable, PROJECT / "manage.py", *arguments],
        env=clean | environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
    )


class SettingsTests(SimpleTestCase):
    def test_production_has_no_warning(self):
        done = manage("check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
        assert done.returncode == 0, done.stderr
        assert "no issues" in done.stdout

    def test_what_production_needs_is_demanded_in_a_sentence(self):
        for missing in ("DJANGO_SECRET_KEY", "DATABASE_URL"):
            for debug in ({}, {"DJANGO_DEBUG": "False"}):
                with self.subTest(missing, debug=debug):
                    done = manage("check", **PRODUCTION | {missing: ""} | debug)
                    assert done.returncode == 1
                    assert f"{missing} is not set" in done.stderr
                    assert "Traceback" not in done.stderr

    def test_only_true_is_true(self):
        for text, expected in (
            *((text, False) for text in ("False", "0", "", "no", "maybe")),
            *((text, True) for text in ("True", "true", "1", "yes", " on ")),
        ):
            with self.subTest(text), mock.patch.dict(os.environ, DJANGO_DEBUG=text):
                assert settings.flag("DJANGO_DEBUG") is expected

    def test_the_database_of_production(self):
        database = (
            "from locallibrary.settings import DATABASES; d = DATABASES['default'];"
            "print(d['HOST'], d['NAME'], d['CONN_MAX_AGE'], d['CONN_HEALTH_CHECKS'])"
        )
        done = manage("shell", "--no-imports", "-c", database, **PRODUCTION)
        assert done.stdout.strip() == "/run/postgresql locallibrary 600 True", done.stderr

    def test_a_port_that_is_no_number(self):
        done = manage("check", **PRODUCTION, EMAIL_PORT="smtp")
        assert "EMAIL_PORT must be a whole number, not 'smtp'." in done.stderr

    def test_nothing_runs_that_is_not_a_file_of_the_site(self):
        policy = self.client.get("/nowhere").headers["Content-Security-Policy"]
        directives = dict(part.split(" ", 1) for part in policy.split("; "))
        assert directives["default-src"] == "'none'"
        assert directives["script-src"] == directives["style-src"] == "'self'"
        assert "unsafe" not in policy

    def test_no_migration_is_missing(self):
        done = manage("makemigrations", "--check", "--dry-run", DJANGO_DEBUG="true")
        assert done.returncode == 0, done.stdout
