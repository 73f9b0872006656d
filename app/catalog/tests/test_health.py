from unittest import mock

from django.db import OperationalError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.test import SimpleTestCase, TestCase, override_settings

from catalog.health import known_migrations


class KnownMigrationsTests(SimpleTestCase):
    def test_they_are_those_that_django_finds(self):
        assert known_migrations() == MigrationLoader(None).disk_migrations.keys()

    @override_settings(MIGRATION_MODULES={"catalog": None, "auth": "catalog.health"})
    def test_an_app_may_have_none(self):
        known_migrations.cache_clear()
        self.addCleanup(known_migrations.cache_clear)
        assert not {"catalog", "auth"} & {app for app, _ in known_migrations()}
        assert known_migrations()


class LiveTests(SimpleTestCase):  # a SimpleTestCase may not touch the database
    def test_live_without_database_session_or_redirect(self):
        response = self.client.get("/healthz", headers={"accept-language": "es"})
        assert response.json() == {"status": "ok"}
        assert not response.cookies
        assert "no-store" in response["Cache-Control"]

    @override_settings(SECURE_SSL_REDIRECT=True)
    def test_plain_http_is_answered(self):
        assert self.client.get("/healthz").status_code == 200
        assert self.client.get("/").status_code == 301


class ReadyTests(TestCase):
    def test_ready(self):
        with self.assertNumQueries(2):  # is there a table of migrations, and what is in it
            response = self.client.get("/readyz")
        assert response.json() == {"status": "ok"}
        assert not response.cookies

    def test_a_missing_migration_is_named(self):
        MigrationRecorder(connection).record_unapplied("catalog", "0001_initial")
        response = self.client.get("/readyz")
        assert response.status_code == 503
        assert response.json()["cause"] == "Migrations are not applied: catalog.0001_initial."

    def test_a_migration_from_the_future_is_no_hindrance(self):
        MigrationRecorder(connection).record_applied("catalog", "9999_future")
        assert self.client.get("/readyz").status_code == 200

    def test_no_database(self):
        error = OperationalError("secret details")
        with (
            mock.patch.object(MigrationRecorder, "applied_migrations", side_effect=error),
            self.assertLogs("catalog.health", "WARNING"),
        ):
            response = self.client.get("/readyz")
        assert response.status_code == 503
        assert response.json()["cause"] == "The database does not answer."
        assert response["Retry-After"] == "2"
