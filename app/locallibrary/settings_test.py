"""Settings of the tests: no environment is needed; DATABASE_URL chooses the database."""

import os

os.environ["DJANGO_DEBUG"] = "true"

from .settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast; tests only
STORAGES["default"] = {"BACKEND": "django.core.files.storage.InMemoryStorage"}  # noqa: F405
LOGGING["root"]["level"] = LOGGING["loggers"]["django"]["level"] = "CRITICAL"  # noqa: F405
