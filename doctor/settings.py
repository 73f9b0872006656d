"""What is to be said of settings that could be loaded. Pure: what they are in, findings out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from deploy.asking import ADDON_VARS
from deploy.config_vars import SECRET
from deploy.target import Target
from doctor import cures
from doctor.loading import Loaded
from doctor.model import Finding, Verdict, fine

HERE = {"", "localhost", "127.0.0.1", "::1"}
WHITENOISE = "whitenoise.middleware.WhiteNoiseMiddleware"
SMTP = "django.core.mail.backends.smtp.EmailBackend"
FILES = "django.core.files.storage.FileSystemStorage"
UPLOADS_SHOWN = 3
MAIL_SERVER = re.compile(r"(MAIL|SMTP)\w*(HOST|SERVER|URL)")
# How a setting reads the variables that the droplet has for it.
DATABASES = 'DATABASES = {"default": dj_database_url.config()}, of dj-database-url'
FILE = f"{DATABASES}; with site_database: sqlite it stays a file"
ALLOWED_HOSTS = 'ALLOWED_HOSTS = os.environ["ALLOWED_HOSTS"].split(",")'
SECRET_KEY = 'SECRET_KEY = os.environ["SECRET_KEY"]'
MEDIA_ROOT = 'MEDIA_ROOT = os.environ.get("DJANGO_MEDIA_ROOT", BASE_DIR / "media")'
DEBUG = 'DEBUG = os.environ.get("DJANGO_DEBUG") == "true"'


def debug(seen: Loaded) -> Finding:
    if not seen.debug:
        return fine("DEBUG", "off")
    told = "DEBUG is on, and no variable that the settings read switches it off"
    return Finding("DEBUG", Verdict.PROJECT, told, DEBUG)


def secret_key(seen: Loaded) -> Finding:
    if seen.secret_key == "given":
        return fine("SECRET_KEY", "the one that the droplet makes")
    told = "SECRET_KEY is not set"
    if seen.secret_key:
        told = "SECRET_KEY is fixed in the code: whoever reads it can forge sessions"
    return Finding("SECRET_KEY", Verdict.PROJECT, told, SECRET_KEY)


def hosts(seen: Loaded) -> Finding:
    if "*" in seen.allowed_hosts:
        return fine("hosts", "any; Nginx lets none but the site's own through")
    if not seen.refused_hosts:
        return fine("hosts", ", ".join(seen.allowed_hosts))
    refused = ", ".join(seen.refused_hosts)
    told = f"ALLOWED_HOSTS is fixed to {list(seen.allowed_hosts)}, and {refused} is not in it"
    return Finding("hosts", Verdict.PROJECT, told, ALLOWED_HOSTS)


def database(seen: Loaded, place: cures.Place, own: bool) -> Finding:
    """The default database.

    Args:
        own: whether the droplet's is meant; not where a config var names another one.
    """
    told, host = seen.database, seen.database.get("host") or "a local socket"
    engine = told.get("engine", "").rpartition(".")[2]
    if cures.is_own_database(seen, place):
        kind = "a file on the droplet" if place.file else "PostgreSQL on the droplet"
        return fine("database", f"{kind}, {told['name']}")
    if not own and engine not in ("", "sqlite3", "dummy"):
        return fine("database", f"{engine} at {host}, as the config vars say")
    if engine == "sqlite3":
        said = "SQLite in the code: a file of the release, which is read-only and goes with it"
        return Finding("database", Verdict.PROJECT, said, FILE)
    elif engine.startswith("postg"):
        said = f"DATABASES is fixed in the code to {told['name']} at {host}, user {told['user']}"
    else:
        said = f"DATABASES is {engine or 'empty'}, and the droplet has another one"
    return Finding("database", Verdict.PROJECT, said, DATABASES)


def https(seen: Loaded) -> Finding:
    if seen.proxy_header == cures.PROXY_HEADER:
        return fine("HTTPS", "SECURE_PROXY_SSL_HEADER is what Nginx sends")
    told = "SECURE_PROXY_SSL_HEADER is not set: to Django every request looks like plain HTTP"
    if seen.values.get("SECURE_SSL_REDIRECT"):
        told = "SECURE_PROXY_SSL_HEADER is not set: every page would lead to itself for ever"
    command = f"SECURE_PROXY_SSL_HEADER = {cures.PROXY_HEADER}".replace("'", '"')
    return Finding("HTTPS", Verdict.PROJECT, told, command)


def whitenoise(seen: Loaded) -> Finding:
    if WHITENOISE in seen.middleware:
        told = "is there, and not needed: Nginx serves the files. It costs a look-up per request"
        return fine("WhiteNoise", told)
    return fine("WhiteNoise", "is not there, and not needed: Nginx serves static files")


def media(seen: Loaded, place: cures.Place, source: str, apps: bool) -> Finding:
    """Uploads; ``apps`` is whether the models are known."""
    if seen.media_storage not in (FILES, ""):
        told = f"uploads go to {seen.media_storage}; list where that leads to in app_outbound"
        return Finding("media", Verdict.ADVICE, told)
    if seen.media_root == place.media:
        return fine("media", "MEDIA_ROOT is the folder that outlives releases")
    where = seen.media_root.replace(source, "").lstrip("/") or "not set"
    if apps and not seen.uploads:
        return fine("media", "no model keeps a file")
    fields = ", ".join(seen.uploads[:UPLOADS_SHOWN]) or "the models are not known"
    more = f" and {len(seen.uploads) - UPLOADS_SHOWN} more" if seen.uploads[UPLOADS_SHOWN:] else ""
    told = f"MEDIA_ROOT is {where}, and a release is read-only: uploads fail ({fields}{more})"
    verdict = Verdict.PROJECT if seen.uploads else Verdict.ADVICE
    return Finding("media", verdict, told, MEDIA_ROOT)


def email(seen: Loaded) -> Finding:
    backend, host = seen.email
    reads = [name for name in seen.names if MAIL_SERVER.search(name.upper())]
    command = f"invoke config.set {reads[0]}=..." if reads else "EMAIL_HOST in the settings"
    if backend == SMTP and host not in HERE:
        told, command = f"goes to {host}; list its addresses in app_outbound", ""
    elif backend == SMTP:
        told = "goes to this host, where nobody takes it"
    elif not backend or backend.startswith("django."):
        told = f"is not sent, but goes to {backend or 'nobody'}"
    else:
        told, command = f"goes to {backend}; list where that leads to in app_outbound", ""
    return Finding("mail", Verdict.ADVICE, told, command and f"{command}, and app_outbound")


def caches(seen: Loaded) -> Iterator[Finding]:
    """Caches that are services. The droplet has a Redis where the inventory says so."""
    for backend, place in seen.caches:
        kind = next((word for word in ("redis", "memcached") if word in backend.lower()), "")
        if not kind:
            continue
        reads = [name for name in seen.names if re.search(f"{kind}|cache", name, re.I)]
        if place and place in ADDON_VARS.get(kind, {}).values():
            yield fine("cache", "the site's own Redis")
            continue
        told = f"CACHES leads to {place or kind}, and the droplet runs no {kind.capitalize()}"
        if "REDIS_URL" in reads:
            yield Finding("cache", Verdict.INVENTORY, told, "site_addons: [redis]")
        elif reads:
            command = f"invoke config.set {reads[0]}=..., and app_outbound"
            yield Finding("cache", Verdict.CONFIG_VAR, told, command)
        else:
            command = "CACHES of another kind, such as django.core.cache.backends.db.DatabaseCache"
            yield Finding("cache", Verdict.PROJECT, told, command)


def log_files(seen: Loaded) -> Iterator[Finding]:
    for path in seen.log_files:
        told = f"LOGGING writes to {path}, which the site may not"
        yield Finding("logs", Verdict.PROJECT, told, 'a handler of class "logging.StreamHandler"')


def pages(seen: Loaded, target: Target) -> Iterator[Finding]:
    """What the gate asks before each switch."""
    for path in target.pages:
        if not seen.pages.get(path, True):
            told = f"the gate asks for {path}, and no URL of the project is that"
            yield Finding("pages", Verdict.INVENTORY, told, 'site_pages: ["/a-page/"]')
    if target.ready_path and not seen.pages.get(target.ready_path, True):
        told = f"the gate asks for {target.ready_path}, and no URL of the project is that"
        yield Finding("pages", Verdict.INVENTORY, told, 'site_ready_path: ""')


def required(name: str) -> Finding:
    """A variable without which the settings do not load, and whose value only you know."""
    value = f"--secret {name}" if SECRET.search(name) else f"{name}=..."
    told = f"the settings do not load without {name}"
    return Finding("variable", Verdict.CONFIG_VAR, told, f"invoke config.set {value}")


def cured(subject: str, name: str, value: str, told: str) -> Finding:
    """A config var of which it was seen that it helps."""
    plain = " --plain" if SECRET.search(name) else ""
    command = f"invoke config.set {shlex.quote(f'{name}={value}')}{plain}"
    return Finding(subject, Verdict.CONFIG_VAR, told, command, (name, value))
