"""The DevSec PostgreSQL baseline 3.1, control by control.

The host is read by one command: a row of psql's answers, permissions, pg_hba.conf.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from shlex import join, quote
from typing import Any

from audits.baselines.baseline import Baseline
from audits.subject import Subject

BASELINE = Baseline("postgres", "DevSec PostgreSQL baseline 3.1")

LOGS = "/var/log/postgresql"
MAINTAINED = range(13, 19)
LANGUAGES = {"internal", "c", "sql", "plpgsql"}
DBA = "postgres"

# Of one database: what is granted and defined there. Of the cluster: all else.
CLUSTER = """
SELECT json_build_object(
  'settings', (SELECT json_object_agg(name, setting) FROM pg_settings),
  'passwords', (SELECT json_object_agg(rolname, coalesce(rolpassword, '')) FROM pg_authid
                WHERE rolcanlogin),
  'powerful', (SELECT json_agg(rolname) FROM pg_roles
               WHERE rolsuper OR rolcreaterole OR rolcreatedb),
  'databases', (SELECT json_agg(datname) FROM pg_database WHERE datallowconn))
"""
DATABASE = """
SELECT json_build_object(
  'languages', (SELECT json_object_agg(lanname, lanpltrusted) FROM pg_language),
  'authid', (SELECT json_agg(DISTINCT grantee) FROM information_schema.role_table_grants
             WHERE table_name = 'pg_authid'),
  'public', (SELECT json_agg(table_name) FROM information_schema.table_privileges
             WHERE grantee = 'PUBLIC'
             AND table_schema NOT IN ('pg_catalog', 'information_schema')),
  'grantable', (SELECT json_agg(DISTINCT grantee)
                FROM information_schema.table_privileges
                WHERE is_grantable = 'YES' AND grantee <> 'postgres'),
  'definers', (SELECT json_agg(proname) FROM pg_proc WHERE prosecdef))
"""
PSQL = "runuser -u postgres -- psql -XAtq"


@dataclass(frozen=True)
class Facts:
    """``cluster`` and ``databases`` are PostgreSQL's answers; ``files`` path -> owner and mode."""

    version: str
    online: int
    cluster: dict[str, Any]
    databases: dict[str, dict[str, Any]]
    files: dict[str, tuple[str, int]]
    hba: list[list[str]]

    def setting(self, name: str) -> str:
        return str(self.cluster["settings"].get(name, ""))

    def everywhere(self, fact: str) -> Iterator[str]:
        """What each database said of it, with the database's name."""
        for name, said in self.databases.items():
            for one in said[fact] or []:
                yield f"{one} in {name}"


@lru_cache(maxsize=4)
def facts(subject: Subject) -> Facts:
    """All that the controls want to know, in three round trips."""
    version, online, said = subject.ask(
        f"psql -V; pg_lsclusters -h | grep -c online; cd /; {PSQL} -c {quote(CLUSTER)}"
    ).splitlines()
    cluster = json.loads(said)
    names = cluster["databases"]
    asked = "; ".join(f"{PSQL} -d {quote(name)} -c {quote(DATABASE)}" for name in names)
    databases = [json.loads(line) for line in subject.ask(f"cd /; {asked}").splitlines()]
    settings = cluster["settings"]
    config, hba_file = settings["config_file"], settings["hba_file"]
    paths = [str(Path(config).parent), config, hba_file, settings["data_directory"], LOGS]
    lines = subject.ask(f"stat -c '%n %U %a' {join(paths)}; cat {quote(hba_file)}").splitlines()
    rows = [line.split() for line in lines[: len(paths)]]
    return Facts(
        version,
        int(online),
        cluster,
        dict(zip(names, databases, strict=True)),
        {path: (owner, int(mode, 8)) for path, owner, mode in rows},
        [line.split() for line in lines[len(paths) :] if line.strip() and line[0] != "#"],
    )


def control(id: str, title: str) -> Callable[[Callable[[Facts], Iterator[str]]], None]:
    """Add the decorated function, which judges the facts, as a control."""

    def add(judge: Callable[[Facts], Iterator[str]]) -> None:
        BASELINE.control(f"postgres-{id}", title)(lambda subject: judge(facts(subject)))

    return add


@control("02", "A version that PostgreSQL still mends, and no draft of one")
def _(host: Facts) -> Iterator[str]:
    found = re.match(r"psql \(PostgreSQL\) (\d+)[\d.]*( |$)", host.version)
    if not found or int(found[1]) not in MAINTAINED:
        yield f"it is {host.version}"


@control("03", "One PostgreSQL on a host")
def _(host: Facts) -> Iterator[str]:
    if host.online != 1:
        yield f"{host.online} clusters are online"


@control("04", "No untrusted language beside c and internal")
def _(host: Facts) -> Iterator[str]:
    for name, said in host.databases.items():
        for language, trusted in said["languages"].items():
            if not trusted and language not in ("c", "internal"):
                yield f"{language} in {name}"


@control("05", "No language that nothing needs")
def _(host: Facts) -> Iterator[str]:
    for name, said in host.databases.items():
        yield from (f"{language} in {name}" for language in said["languages"].keys() - LANGUAGES)


@control("06", "Every role that logs in has a password")
def _(host: Facts) -> Iterator[str]:
    yield from (f"{role} has none" for role, kept in host.cluster["passwords"].items() if not kept)


@control("07", "Passwords are kept as SCRAM verifiers")
def _(host: Facts) -> Iterator[str]:
    if host.setting("password_encryption") != "scram-sha-256":
        yield f"password_encryption is {host.setting('password_encryption')}"
    for role, kept in host.cluster["passwords"].items():
        if kept and not kept.startswith("SCRAM-SHA-256"):
            yield f"that of {role} is not"


@control("08", "One role may make roles and databases: the administrator's")
def _(host: Facts) -> Iterator[str]:
    yield from (f"{role} may" for role in host.cluster["powerful"] if role != DBA)


@control("09", "Nobody but the administrator reads pg_authid")
def _(host: Facts) -> Iterator[str]:
    yield from (role for role in host.everywhere("authid") if not role.startswith(f"{DBA} in "))


def wider(host: Facts, path: str, bits: int, owners: tuple[str, ...] = (DBA,)) -> Iterator[str]:
    owner, mode = host.files[path]
    if owner not in owners or mode & bits:
        yield f"{path} is {owner}'s, mode {mode:04o}"


@control("10", "Its configuration is its own, and nobody else's to read")
def _(host: Facts) -> Iterator[str]:
    config = host.setting("config_file")
    yield from wider(host, str(Path(config).parent), 0o077)
    yield from wider(host, config, 0o037)
    yield from wider(host, host.setting("hba_file"), 0o077)


@control("11", "TLS is on")
def _(host: Facts) -> Iterator[str]:
    if host.setting("ssl") != "on":
        yield f"ssl is {host.setting('ssl')}"


@control("12", "Strong ciphers alone")
def _(host: Facts) -> Iterator[str]:
    if host.setting("ssl_ciphers") != "ALL:!ADH:!LOW:!EXP:!MD5:@STRENGTH":
        yield f"ssl_ciphers is {host.setting('ssl_ciphers')}"


@control("13", "Who comes by the unix socket is who the kernel says")
def _(host: Facts) -> Iterator[str]:
    yield from (" ".join(line) for line in host.hba if line[0] == "local" and line[3] != "peer")


@control("14", "Who comes by TLS proves it with SCRAM")
def _(host: Facts) -> Iterator[str]:
    for line in host.hba:
        if line[0] == "hostssl" and "scram-sha-256" not in line:
            yield " ".join(line)


@control("15", "Nobody comes over the network without TLS")
def _(host: Facts) -> Iterator[str]:
    yield from (" ".join(line) for line in host.hba if line[0] in ("host", "hostnossl"))


@control("16", "It logs who connects, from where, and for how long")
def _(host: Facts) -> Iterator[str]:
    wanted = ("logging_collector", "log_connections", "log_disconnections", "log_duration")
    for name in (*wanted, "log_hostname"):
        if host.setting(name) != "on":
            yield f"{name} is {host.setting(name)}"
    if host.setting("log_directory") == "log":
        yield "log_directory is log"
    if host.setting("log_line_prefix") != "%t %u %d %h":
        yield f"log_line_prefix is {host.setting('log_line_prefix')}"


@control("17", "Nothing is granted to PUBLIC")
def _(host: Facts) -> Iterator[str]:
    yield from host.everywhere("public")


@control("18", "Nobody but the administrator may grant on what they were granted")
def _(host: Facts) -> Iterator[str]:
    yield from host.everywhere("grantable")


@control("19", "No function runs with the rights of whoever defined it")
def _(host: Facts) -> Iterator[str]:
    yield from host.everywhere("definers")


@control("20", "Its data and its logs are its own, and nobody else's to read")
def _(host: Facts) -> Iterator[str]:
    yield from wider(host, host.setting("data_directory"), 0o077)
    yield from wider(host, LOGS, 0o077)
