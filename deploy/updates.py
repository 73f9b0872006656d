"""What a droplet lacks of its updates: one question to its shell, and how the answer is read."""

from __future__ import annotations

import re
from dataclasses import dataclass

from deploy.host import upgrades
from deploy.host.upgrades import Upgrade

# Each answer stands below a line of its own. Nothing is changed: apt only simulates, and
# needrestart's batch mode restarts nothing.
QUESTION = """\
export LC_ALL=C
echo '== upgrades'; apt-get --simulate --quiet dist-upgrade
echo '== services'; needrestart -b -r l
echo '== reboot'; cat /run/reboot-required.pkgs 2>/dev/null || ls /run/reboot-required 2>/dev/null
echo '== failed'; systemctl list-units --failed --plain --no-legend
"""
# needrestart's README.batch: 2 and 3 are a newer kernel than the one that runs.
KERNEL_PENDING = {"2", "3"}


@dataclass(frozen=True)
class Updates:
    """``services`` run with libraries that were replaced; ``reboot`` says why one is pending."""

    upgrades: tuple[Upgrade, ...]
    services: tuple[str, ...]
    reboot: str
    failed: tuple[str, ...]

    @property
    def security(self) -> tuple[Upgrade, ...]:
        return tuple(upgrade for upgrade in self.upgrades if upgrade.security)


def read(answer: str) -> Updates:
    """The answer to QUESTION.

    Raises:
        ValueError: needrestart was not there to answer.
    """
    parts = re.split(r"^== (\w+)$\n?", answer, flags=re.MULTILINE)
    told = {name: text.splitlines() for name, text in zip(parts[1::2], parts[2::2], strict=True)}
    restart = [line.split(": ", 1) for line in told.get("services", ()) if ": " in line]
    if not restart:
        raise ValueError("needrestart did not answer. Run: ansible-playbook site.yml")
    kernel = dict(restart)
    reasons = [line for line in told["reboot"] if line]
    if kernel.get("NEEDRESTART-KSTA") in KERNEL_PENDING:
        reasons.append(f"kernel {kernel['NEEDRESTART-KEXP']}")
    return Updates(
        upgrades=upgrades.read(told["upgrades"]),
        services=tuple(sorted(value for key, value in restart if key == "NEEDRESTART-SVC")),
        reboot=", ".join(dict.fromkeys(reasons)),
        failed=tuple(line.split()[0] for line in told["failed"] if line.strip()),
    )
