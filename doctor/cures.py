"""Config vars that cure: found by loading the settings again with them, never guessed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from doctor.loading import Failure, Loaded, Project

ROUNDS = 60
YEAR = str(365 * 24 * 3600)
TRUE = ("True", "1", "true")
# What Nginx says of a request, as SECURE_PROXY_SSL_HEADER wants it.
PROXY_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SOCKET = "/run/postgresql"
POSTGRES = re.compile(r"DB|DATABASE|POSTGRES|PG|SQL|RDS")
# By these settings tell that they are on Heroku, where they take what they are given.
HEROKU = re.compile("DYNO|HEROKU")
# What a variable of the database's may mean, by the end of its name.
PARTS = (
    (re.compile(r"(URL|URI|DSN)$"), "url"),
    (re.compile(r"(PASSWORD|PASSWD|PASS|PWD)$"), "password"),
    (re.compile(r"(USER|USERNAME)$"), "name"),
    (re.compile(r"HOST(NAME)?$"), "host"),
    (re.compile(r"PORT$"), "port"),
    (re.compile(r"(ENGINE|BACKEND)$"), "engine"),
    (re.compile(r"(NAME|DB|DATABASE)$"), "name"),
)
# What cannot be seen to be right: a wrong one is told by nobody before the first connection.
UNSEEN = re.compile(r"(PASSWORD|PASSWD|PASS|PWD|PORT)$")
# A variable that says which kind of database it is.
KIND = re.compile(r"(DB|DATABASE)(_?(TYPE|KIND|VENDOR|ENGINE|BACKEND))?")
# Words that are tried for a variable which a project cannot be loaded without, likely ones first.
STAND_INS: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (re.compile(r"REDIS|BROKER"), ("redis://127.0.0.1:6379/0",)),
    (re.compile(r"EMAIL_URL|MAIL_URL"), ("smtp://127.0.0.1:25",)),
    (re.compile(r"(URL|URI|DSN|ORIGINS?)$"), ("https://example.org/",)),
    (re.compile(r"EMAIL|ADMINS?$"), ("you@example.org",)),
    (re.compile(r"PORT|SECONDS|TIMEOUT|AGE|COUNT|SIZE|DAYS"), ("1",)),
    (re.compile(r"DEBUG|^USE_|ENABLE|_TLS|_SSL"), ("False",)),
)
OTHERS = ("stand-in", "1", "False", "https://example.org/", "you@example.org", "[]", "{}")
# Errors that a value of the wrong kind brings up.
WRONG_KIND = re.compile(r"\w*(Value|Type|Configured|Decode|Dsn|Validat|Invalid|Env)\w*")
PRODUCTION = ("production", "prod", "heroku", "live", "deployment", "deploy")

Given = Mapping[str, str]


@dataclass(frozen=True)
class Place:
    """What the droplet has: the site's names, the app's, its uploads' folder, and its database.

    ``file`` is the database's, "" where it is PostgreSQL's.
    """

    domains: tuple[str, ...]
    app: str
    media: str
    file: str = ""

    @property
    def database_url(self) -> str:
        if self.file:
            return f"sqlite:///{self.file}"
        return f"postgres://{self.app}@/{self.app}?host={SOCKET}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """All names in the forms in which settings read them."""
        forms = (",".join(self.domains), self.domains[0], " ".join(self.domains))
        return tuple(dict.fromkeys((*forms, json.dumps(self.domains))))


@dataclass(frozen=True)
class Cure:
    """Variables that may decide something, the values to try, and when it is well."""

    well: Callable[[Loaded], bool]
    names: re.Pattern[str]
    values: tuple[str, ...]
    never: re.Pattern[str] = re.compile(r"(?!)")

    def find(self, project: Project, given: Given, loaded: Loaded) -> tuple[str, str] | None:
        """The variable and its value with which the settings are well."""
        fitting = [
            name
            for name in loaded.names
            if self.names.search(name.upper()) and not self.never.search(name.upper())
        ]
        for name in fitting:
            for value in self.values:
                again = project.load({**given, name: value})
                if again.settings_known and self.well(again):
                    return name, value
        return None


def off() -> tuple[Cure, ...]:
    """DEBUG."""
    return (
        Cure(lambda seen: not seen.debug, re.compile("DEBUG"), ("False", "0", "")),
        Cure(
            lambda seen: not seen.debug,
            re.compile(r"(ENV|ENVIRONMENT|STAGE|MODE|CONFIG|CONFIGURATION|PROD|PRODUCTION)$"),
            ("production", "prod", "Production", "Prod", "PRODUCTION", *TRUE),
        ),
        Cure(lambda seen: not seen.debug, HEROKU, TRUE),
    )


def hosts(place: Place) -> tuple[Cure, ...]:
    """ALLOWED_HOSTS."""
    others = re.compile(r"MAIL|SMTP|REDIS|CACHE|RABBIT|BROKER|SEARCH|MONGO|" + POSTGRES.pattern)
    names = re.compile("HOST|DOMAIN|SITE")
    return (
        Cure(lambda seen: not seen.refused_hosts, names, place.hosts, others),
        Cure(lambda seen: not seen.refused_hosts, HEROKU, TRUE),
    )


def heroku(place: Place) -> tuple[Cure, ...]:
    """The database, where DATABASE_URL counts on Heroku alone."""
    return (Cure(lambda seen: is_own_database(seen, place), HEROKU, TRUE),)


def media(place: Place) -> tuple[Cure, ...]:
    """MEDIA_ROOT."""
    kept = Cure(lambda seen: seen.media_root == place.media, re.compile("MEDIA"), (place.media,))
    return (kept,)


def https() -> tuple[Cure, ...]:
    """SECURE_PROXY_SSL_HEADER: its two words, as settings split them, or a switch for them."""
    values = (",".join(PROXY_HEADER), *TRUE)
    names = re.compile("PROXY|FORWARDED|SSL_HEADER|HTTPS")
    return (Cure(lambda seen: seen.proxy_header == PROXY_HEADER, names, values),)


def key(secret: str) -> tuple[Cure, ...]:
    """SECRET_KEY."""
    return (Cure(lambda seen: seen.secret_key == "given", re.compile("SECRET|KEY"), (secret,)),)


def security(setting: str) -> tuple[Cure, ...]:
    """One of the switches that `check --deploy` asks for."""
    core = setting.removeprefix("SECURE_")
    values = (YEAR,) if setting.endswith("SECONDS") else TRUE
    return (Cure(lambda seen: bool(seen.values.get(setting)), re.compile(core), values),)


def first(cures: Iterable[Cure], project: Project, given: Given, loaded: Loaded) -> Given:
    """The config var of the first cure that helps; empty without one."""
    for cure in cures:
        found = cure.find(project, given, loaded)
        if found:
            return dict([found])
    return {}


def is_own_database(loaded: Loaded, place: Place) -> bool:
    """Whether it is the one that the droplet has for the site."""
    told = loaded.database
    engine = told.get("engine", "").rpartition(".")[2]
    if place.file:
        return engine == "sqlite3" and told["name"] == place.file
    return (
        engine in ("postgresql", "postgis", "postgresql_psycopg2")
        and told["host"] == SOCKET
        and told["name"] == told["user"] == place.app
    )


def database(project: Project, given: Given, loaded: Loaded, place: Place) -> dict[str, str]:
    """The variables that together lead to the droplet's database; empty when they do not."""
    kinds = [name for name in loaded.names if KIND.fullmatch(name.upper())]
    words = ("sqlite", "sqlite3") if place.file else ("postgres", "postgresql")
    for chosen in ({}, *({name: word} for name in kinds for word in words)):
        seen = project.load({**given, **chosen}) if chosen else loaded
        values = {name: part_of_database(name, place) for name in seen.names}
        parts = {name: value for name, value in values.items() if value is not None}
        tried = {**parts, **chosen}
        again = project.load({**given, **tried})
        if again.settings_known and is_own_database(again, place):
            new = {name: value for name, value in tried.items() if given.get(name) != value}
            return _needed(project, given, new, place)
    return {}


def _needed(project: Project, given: Given, found: dict[str, str], place: Place) -> dict[str, str]:
    """Those without which it is another database, or its password or port another one."""
    for name in list(found):
        if UNSEEN.search(name.upper()):
            continue
        less = {other: value for other, value in found.items() if other != name}
        seen = project.load({**given, **less})
        if seen.settings_known and is_own_database(seen, place):
            found = less
    return found


def part_of_database(name: str, place: Place) -> str | None:
    """What a variable has to say where it is about the database; None where it is not."""
    upper = name.upper()
    if not POSTGRES.search(upper):
        return None
    values = {
        "url": place.database_url,
        "password": "",
        "name": place.file or place.app,
        "host": SOCKET,
        "port": "5432",
        "engine": f"django.db.backends.{'sqlite3' if place.file else 'postgresql'}",
    }
    return next((values[part] for pattern, part in PARTS if pattern.search(upper)), None)


def settle(project: Project, given: Given, place: Place) -> tuple[Loaded, dict[str, str]]:
    """The settings, loaded with a stand-in for each variable that they cannot do without.

    Returns:
        What they are, and the stand-ins; with the error that is left when no stand-in helped.
    """
    added: dict[str, str] = {}
    waiting: list[str] = []
    for _ in range(ROUNDS):
        loaded = project.load({**given, **added})
        if loaded.settings_known or loaded.error is None:
            return loaded, added
        name = lacking(loaded.error, loaded.missed)
        if name:
            first_word, *waiting = _words(name, place)
            added[name] = first_word
        elif added and waiting and WRONG_KIND.fullmatch(loaded.error.kind):
            added[next(reversed(added))] = waiting.pop(0)
        else:
            break
    return loaded, added


def lacking(error: Failure, missed: tuple[str, ...]) -> str | None:
    """The variable whose absence an error is about."""
    words = set(re.findall(r"\w+", error.text))
    named = [name for name in missed if name in words]
    if named:
        return named[-1]
    # os.environ.get("NAME").split(","), int(os.environ.get("NAME"))
    return missed[-1] if missed and "None" in error.text else None


def _words(name: str, place: Place) -> tuple[str, ...]:
    part = part_of_database(name, place)
    if part is not None:
        return (part,)
    likely = (words for pattern, words in STAND_INS if pattern.search(name.upper()))
    return tuple(dict.fromkeys((*next(likely, ()), *OTHERS)))


def siblings(source: Path, module: str) -> list[str]:
    """Settings modules beside, or in, the default one whose names say production."""
    if not module:
        return []
    parent = module.rpartition(".")[0]
    beside = [*PRODUCTION]
    beside += [form.format(name) for name in PRODUCTION for form in ("settings_{}", "{}_settings")]
    places = [f"{parent}.{name}".lstrip(".") for name in beside]
    places += [f"{module}.{name}" for name in PRODUCTION]
    return [
        place
        for place in places
        if place != module
        and ("settings" in place)
        and (source / f"{place.replace('.', '/')}.py").is_file()
    ]
