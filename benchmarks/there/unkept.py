"""LocalLibrary's settings for many threads: each request connects to the database anew."""

from locallibrary.settings import *  # noqa: F403
from locallibrary.settings import DATABASES

DATABASES["default"]["CONN_MAX_AGE"] = 0
