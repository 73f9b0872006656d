"""Settings of LocalLibrary. Whatever differs from one place to another comes from the environment.

DJANGO_DEBUG                  "true" for development; anything else is production
DJANGO_SECRET_KEY             required in production
DJANGO_SECRET_KEY_FALLBACKS   older keys that still count, separated by commas
DJANGO_ALLOWED_HOSTS          host names, separated by commas
DJANGO_CSRF_TRUSTED_ORIGINS   origins with their scheme, separated by commas
DATABASE_URL                  required in production; SQLite beside manage.py in development
DJANGO_MEDIA_ROOT             folder of uploaded files; media/ beside manage.py when unset
DJANGO_HSTS_SECONDS           how long browsers insist on HTTPS; a year when unset
EMAIL_HOST, EMAIL_PORT, EMAIL_HOST_USER, EMAIL_HOST_PASSWORD, EMAIL_USE_TLS, DEFAULT_FROM_EMAIL
                              Django's own settings of these names; localhost:25 when unset
"""

import os
from pathlib import Path

import dj_database_url
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent


def flag(name):
    """True only when the variable says so: "False", "0" and "" are all false."""
    return os.environ.get(name, "").strip().lower() in {"1", "true", "yes", "on"}


def words(name):
    """The comma-separated words of the variable."""
    return [word.strip() for word in os.environ.get(name, "").split(",") if word.strip()]


def number(name, default):
    """The variable as a whole number."""
    value = os.environ.get(name) or default
    try:
        return int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}.") from None


def demanded(name, in_development, example):
    """The variable's value; in production its absence stops the start."""
    value = os.environ.get(name) or (in_development if DEBUG else "")
    if not value:
        raise ImproperlyConfigured(
            f"{name} is not set, and production cannot start without it. Set {name} to {example},"
            " or set DJANGO_DEBUG=true for development."
        )
    return value


DEBUG = flag("DJANGO_DEBUG")
SECRET_KEY = demanded(
    "DJANGO_SECRET_KEY", "only-for-development", "a random text of at least 50 characters"
)
SECRET_KEY_FALLBACKS = words("DJANGO_SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = words("DJANGO_ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = words("DJANGO_CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "catalog",  # first: its log-in templates go before the admin's
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
]

MIDDLEWARE = [
    "locallibrary.request_id.middleware",  # first: whatever the others log has the id
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "locallibrary.urls"
WSGI_APPLICATION = "locallibrary.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": dj_database_url.parse(
        demanded(
            "DATABASE_URL",
            f"sqlite:///{BASE_DIR / 'db.sqlite3'}",
            "the database's address, such as postgres://user@host/name",
        ),
        conn_max_age=600,
        conn_health_checks=True,
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    # A database that does not answer must not hold a worker for longer than this.
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "catalog:home"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("es", "Español")]
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
MEDIA_URL = "/media/"
MEDIA_ROOT = os.environ.get("DJANGO_MEDIA_ROOT") or BASE_DIR / "media"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage."
        + ("StaticFilesStorage" if DEBUG else "ManifestStaticFilesStorage")
    },
}

EMAIL_BACKEND = f"django.core.mail.backends.{'console' if DEBUG else 'smtp'}.EmailBackend"
EMAIL_HOST = os.environ.get("EMAIL_HOST") or "localhost"
EMAIL_PORT = number("EMAIL_PORT", 25)
EMAIL_HOST_USER = os.environ.get("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = os.environ.get("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = flag("EMAIL_USE_TLS")
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = os.environ.get("DEFAULT_FROM_EMAIL") or "library@localhost"

# HTTPS ends at the web server in front, which says so in this header and lets no client set it.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = not DEBUG
# Health is asked for on the machine itself, in plain HTTP.
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz)$"]
SECURE_HSTS_SECONDS = 0 if DEBUG else number("DJANGO_HSTS_SECONDS", 365 * 24 * 3600)
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = not DEBUG
CSRF_COOKIE_SECURE = not DEBUG
CSRF_COOKIE_HTTPONLY = True

# Scripts and styles are files of this site, never part of a page: what somebody smuggles into a
# page does not run. The admin keeps to it as well.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "connect-src": [SELF],
        "font-src": [SELF],
        "img-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "locallibrary.request_id.Filter"}},
    # The id is that of the web server's own log line of the request; "-" outside of one.
    "formatters": {"line": {"format": "{levelname} {name} {request_id}: {message}", "style": "{"}},
    "handlers": {
        "stdout": {
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stdout",
            "filters": ["request_id"],
            "formatter": "line",
        }
    },
    "root": {"handlers": ["stdout"], "level": "INFO"},
    # Django's own handlers (mail to admins, console in development) give way to the root's.
    "loggers": {"django": {"handlers": [], "level": "INFO", "propagate": True}},
}
