"""Updates: what is pending, and what still runs with what was replaced."""

from __future__ import annotations

from audits.errors import AuditError
from audits.model import Audit, Check, Report
from audits.subject import Subject
from deploy import updates
from deploy.updates import Updates


def run(subject: Subject) -> Report:
    """As the package lists of the droplet tell; apt's own timer fetches them every day."""
    try:
        found = updates.read(subject.ask(updates.QUESTION))
    except ValueError as error:
        raise AuditError(str(error)) from None
    counts = (len(found.security), len(found.services), len(found.failed))
    figure = "{} security updates, {} services, {} failed".format(*counts)
    return Report(figure, checks(found))


def checks(found: Updates) -> tuple[Check, ...]:
    """A check for each thing that is not as it should be, named so that a waiver can outlive it."""
    pending = [
        Check(upgrade.name, "security updates are installed", f"{upgrade}; run: invoke patch")
        for upgrade in found.security
    ]
    old = [
        Check(service, "services use installed libraries", "uses replaced ones; run: invoke patch")
        for service in found.services
    ]
    reboot = [
        Check("reboot", "what runs is what is installed", f"{found.reboot}; invoke patch --reboot")
    ]
    failed = [
        Check(unit, "units are well", f"failed; see: systemctl status {unit}")
        for unit in found.failed
    ]
    return (*pending, *old, *(reboot if found.reboot else ()), *failed)


AUDIT = Audit(
    name="updates",
    reference="apt, needrestart, systemd",
    bar="no security update, old library, reboot or failed unit",
    run=run,
)
