"""What hinders a project from being served, told from what it says of itself. Nothing runs here."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.host.procfile import processes, web_problem

# Warnings of these checks are holes that visitors could feel: `check --deploy` has to have none.
SECURITY_CHECKS = "security."
# Accepted like a check: models that `makemigrations --check` finds ahead of their migrations.
MAKEMIGRATIONS = "makemigrations"
SECURITY_ADVICE = (
    "Set these right; by config vars, if the settings read them; or accept the check, with your "
    "reason, in SILENCED_SYSTEM_CHECKS of the settings or in site_accepted_checks of the inventory"
)
NOT_HASHED = "static files are not hashed; with ManifestStaticFilesStorage browsers can keep them"


@dataclass(frozen=True)
class Problem:
    """One thing to change in the project: what it is about, and a sentence."""

    subject: str
    text: str


def problems(
    facts: Mapping[str, Any], source: Path, accepted: Container[str]
) -> tuple[Problem, ...]:
    """Everything for which a build refuses the project.

    Args:
        facts: what in_project.py told.
        source: the folder that it ran in.
        accepted: ids of checks whose warnings the inventory accepts, or MAKEMIGRATIONS.
    """
    found = []
    if facts["debug"]:
        found.append(
            Problem("DEBUG", "DEBUG is on unless a variable says otherwise; make it off by default")
        )
    if facts["changes"] and MAKEMIGRATIONS not in accepted:
        changes = "; ".join(facts["changes"])
        found.append(
            Problem(
                "migrations",
                f"models have changes without a migration ({changes}); run: manage.py "
                "makemigrations",
            )
        )
    if facts["conflicts"]:
        conflicts = "; ".join(facts["conflicts"])
        found.append(
            Problem(
                "migrations",
                f"migrations conflict ({conflicts}); run: manage.py makemigrations --merge",
            )
        )
    root = facts["static_root"]
    if not root:
        found.append(
            Problem("static", "STATIC_ROOT is not set; set it to BASE_DIR / 'staticfiles'")
        )
    elif not (source / root).resolve().is_relative_to(source.resolve()):
        found.append(
            Problem("static", f"STATIC_ROOT is {root}; set it to BASE_DIR / 'staticfiles'")
        )
    found += [Problem("checks", text) for text in facts["errors"]]
    return (*found, *(Problem("security", text) for text in insecure(facts, accepted)))


def insecure(facts: Mapping[str, Any], accepted: Container[str]) -> tuple[str, ...]:
    """The warnings of `check --deploy` that refuse a build."""
    return tuple(
        text
        for text in facts["warnings"]
        if text.startswith(SECURITY_CHECKS) and text.partition(":")[0] not in accepted
    )


def web(
    source: Path, facts: Mapping[str, Any], own: Mapping[str, str]
) -> tuple[dict[str, str], str | None]:
    """Process types and commands of the Procfile, and why its web line cannot run (None: it can).

    Without a web line it is the one that the settings make.

    Args:
        own: lines of the inventory, which count instead of the project's.
    """
    path = source / "Procfile"
    lines = [path.read_text()] if path.exists() else []
    found = processes("\n".join([*lines, *(f"{name}: {line}" for name, line in own.items())]))
    if "web" in found:
        problem = web_problem(found["web"], facts["application"] or "mysite.wsgi")
        return found, f"Procfile: web {problem}" if problem else None
    if not facts["application"]:
        return found, (
            "Procfile has no web process, and the settings have no WSGI_APPLICATION. Write one, "
            "for example: web: gunicorn mysite.wsgi"
        )
    return {**found, "web": f"gunicorn {facts['application']}"}, None
