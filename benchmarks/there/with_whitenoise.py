"""LocalLibrary with its static files served by WhiteNoise, as its documentation says."""

from locallibrary.settings import *  # noqa: F403
from locallibrary.settings import MIDDLEWARE

MIDDLEWARE.insert(2, "whitenoise.middleware.WhiteNoiseMiddleware")
STATIC_ROOT = "/opt/bench/static"
