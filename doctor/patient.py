"""A project under examination: how it is loaded by now, and what was found."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from deploy import asking
from deploy.target import Target
from doctor import cures, settings
from doctor.cures import Place
from doctor.loading import Loaded, Project
from doctor.model import Finding
from doctor.packages import Packages


@dataclass
class Patient:
    """``given`` are the config vars that the droplet has, ``named`` those that the inventory names.

    ``sets`` were seen to help, and ``stand_ins`` are words for what only you can say.
    """

    target: Target
    project: Project
    place: Place
    given: dict[str, str]
    named: frozenset[str]
    packages: Packages
    sets: dict[str, str] = field(default_factory=dict)
    stand_ins: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {**self.given, **self.stand_ins, **self.sets}

    @property
    def offline(self) -> dict[str, str]:
        """The same without a database."""
        return {
            name: asking.DATABASE if value == self.place.database_url else value
            for name, value in self.environment.items()
        }

    def say(self, *findings: Finding) -> None:
        self.findings += findings

    def cure(self, subject: str, found: cures.Given, told: str) -> None:
        """Config vars that help: the settings go on being loaded with them."""
        for name, value in found.items():
            # The folder of the examination stands for the droplet's.
            value = value.replace(self.place.media, f"{self.target.root}/media")
            self.say(settings.cured(subject, name, value, told.format(name=name)))
        self.sets |= found

    def first(self, tried: Iterable[cures.Cure], loaded: Loaded) -> cures.Given:
        """The config var that helps; empty where none does."""
        return cures.first(tried, self.project, self.environment, loaded)

    def load(self) -> Loaded:
        return self.project.load(self.environment)


def admit(root: Path, target: Target, project: Project, found: Packages) -> Patient:
    """A patient with the config vars that the droplet would give it; secrets are stood in for."""
    plain, hidden = asking.config_vars_of(root, target)
    file = f"{target.root}/data/db.sqlite3" if target.database == "sqlite" else ""
    place = Place(target.domains, target.app, str(project.source.parent / "media"), file)
    secret = secrets.token_urlsafe(50)
    names = ",".join(target.domains)
    given = {
        "DATABASE_URL": place.database_url,
        "SECRET_KEY": secret,
        "DJANGO_SECRET_KEY": secret,
        "ALLOWED_HOSTS": names,
        "DJANGO_ALLOWED_HOSTS": names,
        "DJANGO_CSRF_TRUSTED_ORIGINS": ",".join(f"https://{name}" for name in target.domains),
        "DJANGO_MEDIA_ROOT": place.media,
        **asking.addon_vars(target),
        **{name: secrets.token_urlsafe(20) for name in hidden},
        **plain,
    }
    return Patient(target, project, place, given, frozenset((*plain, *hidden)), found)
