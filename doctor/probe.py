"""Runs in the project's own Python: loads its settings as Django does, and says what they are.

    python probe.py FOLDER < lines that name questions

Each line is N of a FOLDER/N.question; its answer is in FOLDER/N.answer when a line comes back, what
the project printed in FOLDER/N.said. A question has the `environment`, `hosts`, `pages` and `apps`
(whether to load the apps as well). Each is answered by a process of its own, so Django is imported
once. Nothing of Slipway can be imported here, and no value of a secret is told.
"""

import importlib
import json
import os
import re
import runpy
import sys
import traceback
from collections.abc import Mapping
from importlib import metadata
from types import FrameType
from typing import Any

FOLDER = sys.argv[1]
HERE = os.path.realpath(os.getcwd())  # noqa: PTH109
MANAGE = os.path.join(HERE, "manage.py")  # noqa: PTH118
LIMIT = 300
# Keys that were given are longer, words that stand in for other variables shorter.
KEY_LENGTH = 20
# Python's own frames between whoever asks and the environment.
PLUMBING = (os.__file__, sys.modules["_collections_abc"].__file__)

asked: dict[str, Any] = {}
answer: dict[str, Any] = {"stage": "start", "error": None, "names": [], "missed": []}


def in_project(path: object) -> bool:
    if str(path).startswith("<"):
        return False
    path = os.path.realpath(str(path))
    return path.startswith(HERE + os.sep) and path != MANAGE and "site-packages" not in path


class Recorder(os._Environ[str]):
    """The environment; which names the project asked for is kept, and which were not there."""

    def __getitem__(self, name: str) -> str:
        try:
            value = super().__getitem__(name)
        except KeyError:
            self._note(name, "missed")
            raise
        self._note(name, "names")
        return value

    def _note(self, name: str, kind: str) -> None:
        frame: FrameType | None = sys._getframe(2)
        # manage.py is below everything, so it has asked only where nobody else stands between.
        own = [MANAGE]
        while frame:
            path = frame.f_code.co_filename
            if path not in PLUMBING:
                asks, own = in_project(path) or os.path.realpath(path) in own, []
            else:
                asks = False
            if asks:
                for key in {"names", kind}:
                    if name in answer[key]:
                        answer[key].remove(name)
                    answer[key].append(name)
                return
            frame = frame.f_back


def failed(error: BaseException) -> dict[str, str]:
    """What an error says, and where in the project it came up."""
    place = ""
    for frame in traceback.extract_tb(error.__traceback__):
        path = os.path.realpath(frame.filename)
        if in_project(path) or path == MANAGE:
            place = f"{os.path.relpath(path, HERE)}, line {frame.lineno}"
    if isinstance(error, SyntaxError) and error.filename and in_project(error.filename):
        place = f"{os.path.relpath(os.path.realpath(error.filename), HERE)}, line {error.lineno}"
    lines = [line for line in str(error).splitlines() if line.strip()]
    text = " ".join(" ".join(lines[:3]).split())[:LIMIT]
    return {"kind": type(error).__name__, "text": text, "where": place}


def look(*words: object) -> None:
    """Stands in for every command of manage.py."""
    if answer["stage"] != "start":
        return
    answer["module"] = os.environ.get("DJANGO_SETTINGS_MODULE", "")
    answer["stage"] = "settings"
    # django-configurations takes it from manage.py, as Django does its own.
    answer["names"] += [name for name in ("DJANGO_CONFIGURATION",) if name in os.environ]
    from django.conf import settings

    answer["debug"] = bool(settings.DEBUG)
    answer.update(of_settings(settings))
    if not asked["apps"]:
        answer["stage"] = "done"
        return
    answer["stage"] = "apps"
    import django

    django.setup()
    answer["uploads"] = uploads()
    answer["stage"] = "pages"
    answer["pages"] = {path: resolves(path, settings) for path in asked["pages"]}
    answer["stage"] = "done"


def of_settings(settings: Any) -> dict[str, Any]:
    from django.http.request import validate_host

    def get(name: str, default: Any = "") -> Any:
        """A setting; some Djangos do not know it, and some refuse to tell it."""
        try:
            return getattr(settings, name) or default
        except Exception:
            return default

    hosts = list(get("ALLOWED_HOSTS", []))
    secret = get("SECRET_KEY")
    given = {value for value in asked["environment"].values() if len(value) >= KEY_LENGTH}
    storage = get("STORAGES", {}).get("default", {}).get("BACKEND")
    media = get("MEDIA_ROOT")
    return {
        "allowed_hosts": [str(host) for host in hosts],
        "refused_hosts": [host for host in asked["hosts"] if not validate_host(host, hosts)],
        "secret_key": "given" if secret in given else "own" if secret else "",
        "database": database(get("DATABASES", {}).get("default", {})),
        "proxy_header": list(get("SECURE_PROXY_SSL_HEADER", [])),
        "middleware": [str(name) for name in get("MIDDLEWARE", [])],
        "static_root": str(get("STATIC_ROOT")),
        "media_root": os.path.realpath(media) if media else "",
        "media_storage": storage or get("DEFAULT_FILE_STORAGE"),
        "email": mail(get("MAILERS", {})) or [get("EMAIL_BACKEND"), get("EMAIL_HOST")],
        "caches": [location(cache) for cache in get("CACHES", {}).values()],
        "log_files": log_files(get("LOGGING", {})),
        "values": {name: plain(get(name, None)) for name in asked["values"]},
    }


def mail(mailers: Mapping[str, Any]) -> list[str] | None:
    """Backend and server of the default mailer, as Django has it since 6.1."""
    default = mailers.get("default")
    if not default:
        return None
    return [str(default.get("BACKEND", "")), str(default.get("OPTIONS", {}).get("host", ""))]


def plain(value: object) -> object:
    return value if isinstance(value, (bool, int, str)) else bool(value)


def database(told: Mapping[str, Any]) -> dict[str, str]:
    """Nothing of the password. The server is where the driver would look, options included."""
    names = ("ENGINE", "NAME", "USER")
    found = {name.lower(): str(told.get(name) or "") for name in names}
    host = told.get("HOST") or (told.get("OPTIONS") or {}).get("host")
    return {**found, "host": str(host or "")}


def location(cache: Mapping[str, Any]) -> list[str]:
    """Backend and place of a cache, without the password that may stand in its address."""
    places = cache.get("LOCATION") or ""
    places = places if isinstance(places, str) else ", ".join(map(str, places))
    return [str(cache.get("BACKEND", "")), re.sub(r"//[^@/]*@", "//", places)]


def log_files(config: Mapping[str, Any]) -> list[str]:
    """Files that handlers write to which a logger uses."""
    loggers = [config.get("root", {}), *config.get("loggers", {}).values()]
    used = {name for logger in loggers for name in logger.get("handlers", ())}
    handlers = config.get("handlers", {}).items()
    return [str(how["filename"]) for name, how in handlers if name in used and "filename" in how]


def uploads() -> list[str]:
    """Fields that keep a file."""
    from django.apps import apps
    from django.db.models import FileField

    return [
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, FileField)
    ]


def resolves(path: str, settings: Any) -> bool:
    """Whether there is a view for a path, or for it below the language's prefix."""
    from django.urls import Resolver404, resolve

    for place in (path, f"/{settings.LANGUAGE_CODE}{path}"):
        try:
            resolve(place.partition("?")[0])
        except Resolver404:
            continue
        return True
    return False


def load(environment: dict[str, str]) -> None:
    """Run manage.py with these variables, up to its command."""
    os.environ.clear()
    os.environ.update(environment)
    try:
        from django.core.management import ManagementUtility

        ManagementUtility.execute = look
        os.environ.__class__ = Recorder
        sys.argv = ["manage.py", "check"]
        sys.path[0] = HERE
        runpy.run_path("manage.py", run_name="__main__")
    except (Exception, SystemExit) as error:
        if answer["stage"] != "done":
            answer["error"] = failed(error)


def version() -> None:
    """Django's version, and the Pythons that it is made for."""
    try:
        answer["django"] = metadata.version("django")
        # Once for all that are loaded.
        for module in ("django.core.management", "django.http.request"):
            importlib.import_module(module)
    except Exception:
        answer.setdefault("django", "")


def answered(number: str) -> None:
    """Answer one question, and end."""
    place = os.path.join(FOLDER, number)  # noqa: PTH118
    said = os.open(f"{place}.said", os.O_WRONLY | os.O_CREAT)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for have, want in ((nothing, 0), (said, 1), (said, 2)):
        os.dup2(have, want)
    with open(f"{place}.question") as file:  # noqa: PTH123
        asked.update(json.load(file))
    load(asked["environment"])
    with open(f"{place}.answer", "w") as file:  # noqa: PTH123
        json.dump(answer, file)
    # Threads that the project started are not waited for.
    os._exit(0)


def run() -> None:
    version()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            answered(line.strip())
        os.waitpid(child, 0)
        print(flush=True)


run()
