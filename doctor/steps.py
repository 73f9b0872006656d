"""The settings, one after another: what each is, and the config var that helps."""

from __future__ import annotations

import re
import sys

from deploy.build import CONTROLLER_PYTHON
from doctor import cures, settings
from doctor.loading import Loaded
from doctor.model import Finding, Verdict, fine
from doctor.packages import Packages
from doctor.patient import Patient

# What Django itself comes to when it is much older than its Python.
OF_OLD_CODE = {"ImportError", "ModuleNotFoundError", "AttributeError", "SyntaxError"}


def examine(patient: Patient) -> bool:
    """Load them, and say what they are; False when they could not be loaded."""
    loaded = _load(patient)
    if not loaded.settings_known:
        patient.say(_error("settings", loaded, patient.packages))
        return False
    for step in (_debug, _secret_key, _hosts, _database, _media, _https):
        loaded = step(patient, loaded)
    for name in patient.stand_ins:
        if name not in patient.sets:
            patient.say(settings.required(name))
    patient.say(*settings.log_files(loaded), *settings.caches(loaded))
    patient.say(settings.whitenoise(loaded), settings.email(loaded))
    return _apps(patient)


def _load(patient: Patient) -> Loaded:
    """The settings, by the module that is for production where there is one."""
    loaded, added = cures.settle(patient.project, patient.environment, patient.place)
    if not loaded.settings_known or loaded.debug:
        for module in cures.siblings(patient.project.source, loaded.module):
            given = {**patient.environment, "DJANGO_SETTINGS_MODULE": module}
            other, others = cures.settle(patient.project, given, patient.place)
            if other.settings_known and not other.debug:
                told = f"manage.py takes {loaded.module}; {module} is for production"
                patient.cure("settings", {"DJANGO_SETTINGS_MODULE": module}, told)
                patient.stand_ins |= others
                return other
            if other.error:
                told = f"{module} does not load: {_told(other)}"
                patient.say(Finding("settings", Verdict.ADVICE, told))
    if loaded.settings_known:
        patient.say(fine("settings", f"{loaded.module} load"))
    patient.stand_ins |= added
    return loaded


def _debug(patient: Patient, loaded: Loaded) -> Loaded:
    # A variable for it without which nothing loads was given a word that means off.
    needed = {name: word for name, word in patient.stand_ins.items() if "DEBUG" in name.upper()}
    if needed and not loaded.debug:
        return _again(patient, "DEBUG", needed, "the settings do not load without {name}")
    found = patient.first(cures.off(), loaded) if loaded.debug else {}
    if found:
        return _again(patient, "DEBUG", found, "on unless {name} says otherwise")
    patient.say(settings.debug(loaded))
    return loaded


def _secret_key(patient: Patient, loaded: Loaded) -> Loaded:
    if loaded.secret_key == "given":
        patient.say(settings.secret_key(loaded))
        return loaded
    secret = patient.given["SECRET_KEY"]
    found = patient.first(cures.key(secret), loaded)
    if not found:
        patient.say(settings.secret_key(loaded))
        return loaded
    (name,) = found
    command = f"app_generated_config_vars: [DJANGO_SECRET_KEY, SECRET_KEY, {name}]"
    told = f"the settings read it from {name}, which the droplet has to make as well"
    patient.say(Finding("SECRET_KEY", Verdict.INVENTORY, told, command))
    patient.sets |= found
    return patient.load()


def _hosts(patient: Patient, loaded: Loaded) -> Loaded:
    found = patient.first(cures.hosts(patient.place), loaded) if loaded.refused_hosts else {}
    if found:
        return _again(patient, "hosts", found, "the site's name is let in only by {name}")
    patient.say(settings.hosts(loaded))
    return loaded


def _database(patient: Patient, loaded: Loaded) -> Loaded:
    place, own = patient.place, "DATABASE_URL" not in patient.named
    needed = {
        name: word
        for name, word in patient.stand_ins.items()
        if cures.part_of_database(name, place) is not None
    }
    if cures.is_own_database(loaded, place):
        found: cures.Given = needed
    else:
        found = needed | cures.database(patient.project, patient.environment, loaded, place)
    if found:
        again = patient.project.load({**patient.environment, **found})
        if cures.is_own_database(again, place):
            return _again(patient, "database", found, "is read from {name}")
    if not cures.is_own_database(loaded, place):
        found = patient.first(cures.heroku(place), loaded)
        if found:
            return _again(patient, "database", found, "is the one in DATABASE_URL only with {name}")
    patient.say(settings.database(loaded, place, own))
    return loaded


def _media(patient: Patient, loaded: Loaded) -> Loaded:
    if loaded.media_root == patient.place.media:
        return loaded
    found = patient.first(cures.media(patient.place), loaded)
    return _again(patient, "media", found, "is read from {name}") if found else loaded


def _https(patient: Patient, loaded: Loaded) -> Loaded:
    well = loaded.proxy_header == cures.PROXY_HEADER
    found = {} if well else patient.first(cures.https(), loaded)
    if found:
        told = "Django believes Nginx that a request came by HTTPS only with {name}"
        return _again(patient, "HTTPS", found, told)
    patient.say(settings.https(loaded))
    return loaded


def _again(patient: Patient, subject: str, found: cures.Given, told: str) -> Loaded:
    patient.cure(subject, found, told)
    return patient.load()


def _apps(patient: Patient) -> bool:
    """What is known once the apps are loaded; False when they could not be."""
    loaded = patient.project.load(patient.offline, apps=True)
    models = loaded.stage in ("pages", "done")
    patient.say(settings.media(loaded, patient.place, str(patient.project.source), models))
    if loaded.stage != "done":
        patient.say(_error("apps" if not models else "URLs", loaded, patient.packages))
        return False
    patient.say(*settings.pages(loaded, patient.target))
    return True


def _error(subject: str, loaded: Loaded, found: Packages) -> Finding:
    """Why it did not load, and what helps."""
    error = loaded.error
    if error is None:
        return Finding(subject, Verdict.PROJECT, "manage.py runs no command of Django's")
    module = re.search(r"No module named '([\w.]+)'", error.text)
    if module and found.missing:
        missing = ", ".join(found.missing)
        return Finding(
            subject, Verdict.SKIPPED, f"without {missing} they do not load: {_told(loaded)}"
        )
    command = ""
    if module and module[1].partition(".")[0] not in sys.stdlib_module_names:
        command = f"name the package that has {module[1]} in requirements.txt"
    elif error.kind in OF_OLD_CODE and error.where.partition(",")[0] in ("", "manage.py"):
        command = f"take a newer Django: {loaded.django} is not made for Python {CONTROLLER_PYTHON}"
    return Finding(subject, Verdict.PROJECT, f"do not load: {_told(loaded)}", command)


def _told(loaded: Loaded) -> str:
    where = f" ({loaded.error.where})" if loaded.error and loaded.error.where else ""
    return f"{loaded.error}{where}"
