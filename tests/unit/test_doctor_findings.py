"""What the doctor says of facts: each finding, without a project and without a droplet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from deploy.asking import addon_vars
from deploy.host.status import problems
from deploy.host.upgrades import Upgrade
from deploy.updates import Updates
from doctor import cures, droplet, settings
from doctor.cures import Place
from doctor.loading import Failure, Loaded
from doctor.model import Finding, Verdict, counted, fine
from tests.unit.test_build import TARGET

PLACE = Place(("mysite.example.org", "www.mysite.example.org"), "mysite", "/tmp/media")
OWN = {
    "engine": "django.db.backends.postgresql",
    "name": "mysite",
    "user": "mysite",
    "host": "/run/postgresql",
}
GOOD = Loaded(
    stage="done",
    names=("EMAIL_HOST",),
    database=OWN,
    proxy_header=("HTTP_X_FORWARDED_PROTO", "https"),
    media_root="/tmp/media",
    email=(settings.SMTP, "mail.example.org"),
)


def only(found: Finding | Iterable[Finding]) -> Finding:
    if isinstance(found, Finding):
        return found
    (one,) = found
    return one


@pytest.mark.parametrize(
    ("look", "changes", "verdict", "told"),
    [
        (settings.debug, {}, "fine", "off"),
        (settings.debug, {"debug": True}, "project", "DEBUG is on"),
        (settings.secret_key, {}, "fine", "the one that the droplet makes"),
        (settings.secret_key, {"secret_key": "own"}, "project", "fixed in the code"),
        (settings.secret_key, {"secret_key": ""}, "project", "is not set"),
        (settings.hosts, {"allowed_hosts": ("a.example.org",)}, "fine", "a.example.org"),
        (settings.hosts, {"allowed_hosts": ("*",)}, "fine", "any"),
        (
            settings.hosts,
            {"allowed_hosts": ("localhost",), "refused_hosts": ("a.example.org",)},
            "project",
            "fixed to ['localhost'], and a.example.org is not in it",
        ),
        (settings.https, {}, "fine", "what Nginx sends"),
        (settings.https, {"proxy_header": ()}, "project", "looks like plain HTTP"),
        (
            settings.https,
            {"proxy_header": (), "values": {"SECURE_SSL_REDIRECT": True}},
            "project",
            "lead to itself for ever",
        ),
        (settings.whitenoise, {}, "fine", "not there, and not needed"),
        (settings.whitenoise, {"middleware": (settings.WHITENOISE,)}, "fine", "is there, and not"),
        (settings.email, {}, "advice", "goes to mail.example.org; list its addresses"),
        (settings.email, {"email": (settings.SMTP, "localhost")}, "advice", "nobody takes it"),
        (settings.email, {"email": ("anymail.Backend", "")}, "advice", "goes to anymail.Backend"),
        (
            settings.email,
            {"email": ("django.core.mail.backends.console.EmailBackend", "")},
            "advice",
            "is not sent",
        ),
        (settings.log_files, {"log_files": ("/var/log/x.log",)}, "project", "/var/log/x.log"),
        (
            settings.caches,
            {"caches": (("django_redis.cache.RedisCache", "redis://10.0.0.1"),)},
            "project",
            "leads to redis://10.0.0.1, and the droplet runs no Redis",
        ),
        (
            settings.caches,
            {
                "caches": (("django.core.cache.backends.memcached.PyMemcacheCache", ""),),
                "names": ("MEMCACHED_SERVERS",),
            },
            "config var",
            "leads to memcached, and the droplet runs no Memcached",
        ),
    ],
)
def test_settings(look: Any, changes: dict[str, Any], verdict: str, told: str) -> None:
    found = only(look(replace(GOOD, **changes)))
    assert (found.verdict.value, told in found.told) == (verdict, True), found


def test_a_redis_is_the_site_s_own_where_the_inventory_says_so() -> None:
    url = addon_vars(replace(TARGET, addons=("redis",)))["REDIS_URL"]
    assert addon_vars(TARGET) == {}
    kind = "django.core.cache.backends.redis.RedisCache"
    seen = replace(GOOD, names=("REDIS_URL",), caches=((kind, url),))
    assert only(settings.caches(seen)).verdict is Verdict.FINE
    other = replace(seen, caches=((kind, "redis://localhost"),))
    assert only(settings.caches(other)).command == "site_addons: [redis]"


def test_a_cache_in_memory_is_no_service() -> None:
    caches = (("django.core.cache.backends.locmem.LocMemCache", ""),)
    assert list(settings.caches(replace(GOOD, caches=caches))) == []


@pytest.mark.parametrize(
    ("changes", "own", "verdict", "told"),
    [
        ({}, True, "fine", "PostgreSQL on the droplet, mysite"),
        ({"engine": "django.db.backends.sqlite3", "host": ""}, True, "project", "SQLite"),
        ({"host": "db.example.org"}, True, "project", "fixed in the code to mysite at db.example"),
        ({"host": "db.example.org"}, False, "fine", "postgresql at db.example.org, as the config"),
        (
            {"engine": "django.db.backends.mysql"},
            True,
            "project",
            "DATABASES is mysql, and the droplet has another",
        ),
        ({"engine": ""}, True, "project", "DATABASES is empty"),
    ],
)
def test_the_database(changes: dict[str, str], own: bool, verdict: str, told: str) -> None:
    seen = replace(GOOD, database={**OWN, **changes})
    found = settings.database(seen, PLACE, own)
    assert (found.verdict.value, told in found.told) == (verdict, True), found


def test_a_database_in_a_file_is_the_droplet_s_where_the_inventory_says_so() -> None:
    file = "/srv/mysite/data/db.sqlite3"
    database = {"engine": "django.db.backends.sqlite3", "name": file, "host": "", "user": ""}
    seen, place = replace(GOOD, database=database), replace(PLACE, file=file)
    assert settings.database(seen, place, True).told == f"a file on the droplet, {file}"
    assert settings.database(seen, PLACE, True).hinders
    assert settings.database(GOOD, place, True).hinders
    assert cures.part_of_database("DB_URL", place) == f"sqlite:///{file}"
    assert cures.part_of_database("DB_NAME", place) == file


@pytest.mark.parametrize(
    ("changes", "models", "verdict", "told"),
    [
        ({}, True, "fine", "the folder that outlives releases"),
        ({"media_root": "/src/media"}, True, "fine", "no model keeps a file"),
        ({"media_root": "/src/media"}, False, "advice", "MEDIA_ROOT is media, and a release"),
        ({"media_root": "", "uploads": ("a.B.c",)}, True, "project", "is not set"),
        (
            {"media_root": "/src/media", "uploads": ("a.B.c", "a.B.d", "a.B.e", "a.B.f")},
            True,
            "project",
            "uploads fail (a.B.c, a.B.d, a.B.e and 1 more)",
        ),
        ({"media_storage": "storages.S3"}, True, "advice", "uploads go to storages.S3"),
    ],
)
def test_uploads(changes: dict[str, Any], models: bool, verdict: str, told: str) -> None:
    found = settings.media(replace(GOOD, **changes), PLACE, "/src", models)
    assert (found.verdict.value, told in found.told) == (verdict, True), found


def test_pages_that_no_url_leads_to() -> None:
    assert list(settings.pages(replace(GOOD, pages={"/": True, "/readyz": True}), TARGET)) == []
    missing = replace(GOOD, pages={"/": False, "/readyz": False})
    assert [one.command.partition(" in ")[0] for one in settings.pages(missing, TARGET)] == [
        'site_pages: ["/a-page/"]',
        'site_ready_path: ""',
    ]


@pytest.mark.parametrize(
    ("kind", "text", "missed", "name"),
    [
        ("KeyError", "'API_KEY'", ("A", "API_KEY"), "API_KEY"),
        ("ImproperlyConfigured", "Set the B environment variable", ("A", "B"), "B"),
        ("ValueError", "B has to be set where A is", ("A", "B"), "B"),
        ("UndefinedValueError", "B not found. Declare it as envvar", ("B", "C"), "B"),
        ("AttributeError", "'NoneType' object has no attribute 'split'", ("A", "B"), "B"),
        ("KeyError", "'default'", ("A",), None),
        ("ValueError", "invalid literal for int()", ("A",), None),
        ("AttributeError", "'NoneType' object has no attribute 'split'", (), None),
    ],
)
def test_the_variable_that_an_error_is_about(
    kind: str, text: str, missed: tuple[str, ...], name: str | None
) -> None:
    assert cures.lacking(Failure(kind, text, ""), missed) == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSTGRES_DB", "mysite"),
        ("PGUSER", "mysite"),
        ("DATABASE_HOST", "/run/postgresql"),
        ("SQL_PORT", "5432"),
        ("DB_PASSWORD", ""),
        ("DB_URL", "postgres://mysite@/mysite?host=/run/postgresql"),
        ("DB_ENGINE", "django.db.backends.postgresql"),
        ("EMAIL_HOST", None),
        ("SECRET_KEY", None),
    ],
)
def test_variables_of_a_database(name: str, value: str | None) -> None:
    assert cures.part_of_database(name, PLACE) == value


# --- the droplet ---------------------------------------------------------------------------------

FACTS = {"now": 0.0, "config": "c2", "current": {"config": "c2"}, "python": "3.13"}
STATUS: dict[str, Any] = {
    "problems": [],
    "disk": {"free": 5_000_000_000, "total": 20_000_000_000},
    "memory": {"available": 500_000_000, "total": 1_000_000_000},
    "current": {"id": "20260801T120000-abcdef0"},
    "certificate": {"self_signed": False, "days": 60, "issuer": "CN=R11"},
    "maintenance": None,
    "database": {"bytes": 1000},
}


def told_of(facts: Mapping[str, Any] = {}, status: Mapping[str, Any] = {}) -> list[Finding]:
    return list(droplet.of_release_tool({**FACTS, **facts}, {**STATUS, **status}, TARGET))


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 0.0)


def test_a_droplet_that_is_well() -> None:
    found = told_of()
    assert {one.verdict for one in found} == {Verdict.FINE}
    assert [one.subject for one in found] == [
        *("clock", "disk", "memory", "certificate", "release", "database")
    ]


@pytest.mark.parametrize(
    ("changes", "subject", "told", "command"),
    [
        ({"facts": {"now": 90.0}}, "clock", "are 90 s apart", ""),
        (
            {"status": {"memory": {"available": 2 * 10**8, "total": 2.5 * 10**8}}},
            "memory",
            "250.0 MB of memory, and 512 MB are needed",
            "a larger droplet",
        ),
        ({"facts": {"config": "c3"}}, "config vars", "newer config vars wait", "invoke deploy"),
        (
            {"status": {"maintenance": {"who": "ada@desk"}}},
            "maintenance",
            "on, by ada@desk",
            "invoke maintenance.off",
        ),
    ],
)
def test_what_the_release_tool_tells(
    changes: dict[str, Any], subject: str, told: str, command: str
) -> None:
    (found,) = [one for one in told_of(**changes) if one.hinders]
    assert (found.subject, found.verdict) == (subject, Verdict.DROPLET)
    assert told in found.told
    assert found.command == command


# What `invoke status` finds wrong, made by the release tool itself.
WELL: dict[str, Any] = {
    **STATUS,
    "trouble": "",
    "expected": ["web"],
    "processes": [{"process": "web", "live": True, "state": "active/running"}],
    "failed_units": [],
    "addons": [],
    "backups": {"problems": [], "looked_at": "2999-01-01T00:00:00+00:00"},
    "certificate": {**STATUS["certificate"], "due": False},
}


@pytest.mark.parametrize(
    ("changes", "subject", "told", "command"),
    [
        ({"disk": {"free": 1, "total": 100}}, "disk", "less than 10% of the disk", "invoke ps"),
        (
            {"memory": {"available": 10**7, "total": 10**9}},
            "memory",
            "less than 5% of the memory",
            "invoke ps",
        ),
        ({"certificate": None}, "certificate", "shows no certificate", "ansible-playbook site.yml"),
        (
            {"certificate": {**WELL["certificate"], "self_signed": True}},
            "certificate",
            "no authority has issued one yet",
            "ansible-playbook site.yml",
        ),
        (
            {"certificate": {**WELL["certificate"], "due": True}},
            "certificate",
            "should have been renewed",
            "ansible-playbook site.yml",
        ),
        (
            {"addons": [{"name": "redis", "up": False, "state": "inactive"}]},
            "site",
            "redis is inactive",
            "ansible-playbook site.yml",
        ),
        ({"backups": None}, "backups", "there are no backups", "ansible-playbook site.yml"),
        ({"trouble": "HTTP 500 at /"}, "site", "HTTP 500 at /", "invoke logs"),
        ({"processes": []}, "site", "web does not run", "invoke logs --process web"),
        (
            {"failed_units": ["certbot.service"]},
            "unit",
            "certbot.service failed",
            "journalctl -u certbot.service",
        ),
        (
            {"database": {"bytes": None, "problem": "connection refused"}},
            "database",
            "does not answer: connection refused",
            "",
        ),
    ],
)
def test_what_a_status_finds_wrong_is_told_with_its_command(
    changes: dict[str, Any], subject: str, told: str, command: str
) -> None:
    status = {**WELL, **changes}
    found = told_of(status={**status, "problems": list(problems(status))})
    (one,) = [one for one in found if one.hinders]
    assert (one.subject, one.verdict) == (subject, Verdict.DROPLET)
    assert told in one.told
    assert one.command.startswith(command)
    # What is wrong is not told as well.
    assert len([other for other in found if other.subject == subject]) == 1


def test_before_the_first_deploy() -> None:
    nothing: dict[str, Any] = {"current": None, "database": None, "trouble": "", "expected": []}
    status = {**WELL, **nothing}
    found = told_of({"current": None}, {**status, "problems": list(problems(status))})
    assert [(one.verdict, one.command) for one in found if one.verdict is not Verdict.FINE] == [
        (Verdict.ADVICE, "invoke deploy")
    ]


SYSTEM = """\
system debian 13
listening LISTEN 0      511          0.0.0.0:443        0.0.0.0:*    users:(("nginx",pid=7,fd=5))
listening LISTEN 0      128             [::]:22            [::]:*    users:(("sshd",pid=5,fd=4))
listening LISTEN 0      200        127.0.0.1:5432       0.0.0.0:*    users:(("postgres",pid=9,fd=6))
listening LISTEN 0      200            [::1]:5432          [::]:*    users:(("postgres",pid=9,fd=5))
package nginx 1.26.3-3+deb13u1
package postgresql-17 17.6-0+deb13u1
package python3 3.13.5-1
"""


def test_a_system_that_is_well() -> None:
    found = list(droplet.of_system(SYSTEM, 22))
    assert {one.verdict for one in found} == {Verdict.FINE}
    assert found[0].told == "debian 13; nginx 1.26, postgresql 17.6, python3 3.13"


@pytest.mark.parametrize(
    ("old", "new", "verdict", "told"),
    [
        ("debian 13", "debian 11", "droplet", "debian 11 is not supported"),
        ("debian 13", "ubuntu 24.04", "advice", "ubuntu 24.04 is not tested"),
        ("0.0.0.0:443 ", "0.0.0.0:8080", "droplet", "nginx listens on 0.0.0.0:8080"),
        ("[::]:22 ", "*:2222 ", "droplet", "sshd listens on *:2222"),
    ],
)
def test_what_the_system_tells(old: str, new: str, verdict: str, told: str) -> None:
    found = [
        one
        for one in droplet.of_system(SYSTEM.replace(old, new), 22)
        if one.verdict is not Verdict.FINE
    ]
    assert [(one.verdict.value, told in one.told) for one in found] == [(verdict, True)]


NOTHING = Updates((), (), "", ())


@pytest.mark.parametrize(
    ("changes", "verdict", "told"),
    [
        ({}, "fine", "no security update waits"),
        ({"upgrades": (Upgrade("bash", "1", "2", False),)}, "fine", "no security update waits"),
        (
            {"upgrades": tuple(Upgrade(name, "1", "2", True) for name in "abcd")},
            "droplet",
            "4 security updates wait: a, b, c and 1 more",
        ),
        ({"services": ("cron",)}, "droplet", "cron still run with libraries"),
        ({"reboot": "kernel 6.12"}, "droplet", "a reboot is pending for kernel 6.12"),
    ],
)
def test_updates(changes: dict[str, Any], verdict: str, told: str) -> None:
    found = only(droplet.of_updates(replace(NOTHING, **changes)))
    assert (found.verdict.value, told in found.told) == (verdict, True)


def test_findings_are_counted_by_what_they_ask_for() -> None:
    found = [fine("a", ""), Finding("b", Verdict.PROJECT, ""), fine("c", "")]
    assert counted(found) == {"fine": 2, "project": 1}
    assert [one.hinders for one in found] == [False, True, False]
