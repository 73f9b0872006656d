"""systemd units of releases: looked at as anybody may, changed by the helper that is root's."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from deploy.host.command import begin, end, run
from deploy.host.errors import NeedsYou
from deploy.host.site import Site

ACTIVE = "active"
PROPERTIES = ("ActiveState", "SubState", "Result", "NRestarts", "MainPID")
LOG_LINES = 30
HELPER_SECONDS = 60.0
# The helper's word for what it does not know; it may be of an older playbook.
NOT_UNDERSTOOD = 64
# systemctl's word for a unit that used up its TimeoutStartSec, which may end before ours does.
TIMED_OUT = "a timeout was exceeded"
# Longer than any TimeoutStopSec that the inventory is likely to allow.
PROCESS_STOP_SECONDS = 3600.0


@dataclass(frozen=True)
class UnitState:
    """What systemd says of an instance's service."""

    active: str
    sub: str
    restarts: int
    main_pid: int
    result: str

    @property
    def running(self) -> bool:
        return self.active == ACTIVE


class Units:
    """The instances of one site. What changes them is a verb of the helper."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._starter: subprocess.Popen[str] | None = None
        self._begun: dict[str, subprocess.Popen[str]] = {}
        self._helper: subprocess.Popen[str] | None = None
        self._ordered: list[tuple[str, str]] = []

    def expect(self) -> None:
        """Start the helper that :meth:`begin` tells what to start: sudo takes a while."""
        self._starter = begin(self._argv("start", "-"), told=True)

    def begin(self, release: str) -> None:
        """Have it started, and do not wait: :meth:`start` does."""
        starter, self._starter = self._starter, None
        if starter:
            _tell(starter, release)
        self._begun[release] = starter or begin(self._argv("start", release))

    def start(self, release: str, seconds: float) -> str | None:
        """Start the socket and the service, but for those that run; returns when both are ready.

        Args:
            seconds: how long it may take.

        Returns:
            None, or a sentence that says why it did not start.
        """
        late = f"it was not ready within {seconds:.0f} s"
        begun = self._begun.pop(release, None)
        units = (f"{self._web}{release}.{kind}" for kind in ("socket", "service"))
        if not begun and run(
            ("systemctl", "is-active", *units), HELPER_SECONDS
        ).stdout.split() == 2 * [ACTIVE]:
            return None
        if not begun:
            self.begin(release)
            begun = self._begun.pop(release)
        try:
            done = end(begun, seconds)
            if done.returncode == NOT_UNDERSTOOD:
                done = end(begin(self._argv("start", release)), seconds)
        except subprocess.TimeoutExpired:
            return late
        if done.returncode != 0 and TIMED_OUT in done.stderr:
            return late
        return None if done.returncode == 0 else done.stderr.strip() or "systemd refused it"

    def stop(self, release: str, seconds: float = HELPER_SECONDS) -> None:
        begun = self._begun.pop(release, None)
        self._call("stop", release, seconds=seconds)
        if begun:
            # It may have asked systemd only now.
            end(begun, seconds)
            self._call("stop", release, seconds=seconds)

    def prepare(self) -> None:
        """Start the helper that :meth:`retire` and :meth:`forget` give orders to.

        They do so themselves; sudo takes longer than what it is for.
        """
        if not self._helper:
            self._helper = begin(self._argv("orders"), told=True)

    def retire(self, release: str) -> None:
        """Have it stopped; what it is at, systemd lets it finish, and nobody waits for that.

        :meth:`settle` says when systemd has heard of it.
        """
        self._order("retire", release)

    def forget(self, release: str) -> None:
        """Have its config vars taken away; :meth:`settle` says when they are."""
        self._order("forget", release)

    def settle(self) -> None:
        """Wait until systemd has heard what retires, and what is forgotten is.

        Raises:
            NeedsYou: one of them cannot be.
        """
        helper, ordered = self._helper, self._ordered
        self._helper, self._ordered = None, []
        if helper and end(helper, HELPER_SECONDS).returncode != 0:
            # It may be of an older playbook; or this says why.
            for verb, release in ordered:
                self._call("stop" if verb == "retire" else verb, release)

    def _order(self, verb: str, release: str) -> None:
        self.prepare()
        self._ordered.append((verb, release))
        if self._helper:
            _tell(self._helper, f"{verb} {release}")

    def run_processes(self, release: str) -> str | None:
        """Run the workers and schedulers of this release and of no other.

        Those of others end first: they have their unit's TimeoutStopSec to finish what they hold.
        Returns what is wrong with the new ones, or None.
        """
        done = self._call("run-processes", release, seconds=PROCESS_STOP_SECONDS, check=False)
        if done.returncode == 0:
            return None
        return next(reversed(done.stderr.strip().splitlines()), "systemd refused them")

    def restart(self, release: str, process: str) -> str | None:
        """Stop and start the processes of one type; returns what is wrong with them, or None."""
        done = self._call("restart", release, process, seconds=PROCESS_STOP_SECONDS, check=False)
        if done.returncode == 0:
            return None
        return next(iter(done.stderr.strip().splitlines()), "systemd refused it")

    def set_workers(self, release: str, count: int) -> str | None:
        """Run that many workers of Gunicorn; returns what is wrong, or None."""
        done = self._call("workers", release, str(count), check=False)
        return None if done.returncode == 0 else done.stderr.strip() or "systemd refused it"

    def state(self, release: str) -> UnitState:
        asked = f"--property={','.join(PROPERTIES)}"
        text = self._look("show", asked, f"{self._web}{release}.service")
        values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        return UnitState(
            active=values.get("ActiveState", "unknown"),
            sub=values.get("SubState", "unknown"),
            restarts=int(values.get("NRestarts") or 0),
            main_pid=int(values.get("MainPID") or 0),
            result=values.get("Result", "unknown"),
        )

    def logs(self, release: str, lines: int = LOG_LINES) -> list[str]:
        done = self._call("logs", release, str(lines), check=False)
        return done.stdout.splitlines()[-lines:]

    def binding(self, release: str) -> Callable[[], str]:
        """Give the release the config vars of now; what it returns waits for the version."""
        begun = begin(self._argv("bind", release))

        def bound() -> str:
            done = end(begun, HELPER_SECONDS)
            self._check(done, "bind", release)
            return done.stdout.strip()

        return bound

    def config(self) -> str:
        """The version of the config vars that a release bound now would get."""
        return self._call("config").stdout.strip()

    def config_changes(self, old: str, new: str) -> list[tuple[str, str]] | None:
        """(kind, name) of each config var that differs between two versions, and no value.

        None when a version is gone, or the helper is of an older playbook.
        """
        try:
            done = self._call("config-changes", old, new, check=False)
        except subprocess.TimeoutExpired:
            return None
        if done.returncode != 0:
            return None
        pairs = (line.split(" ", 1) for line in done.stdout.splitlines())
        return [(kind, name) for kind, name in pairs]

    def loaded(self) -> dict[str, str]:
        """The state of each instance whose socket or service is there, but for inactive ones."""
        text = self._look("list-units", "--all", "--plain", "--no-legend", f"{self._web}*")
        found: dict[str, str] = {}
        for line in sorted(text.splitlines()):
            # unit load active sub description; a service comes before its socket
            unit, _, state, *_ = line.split()
            release, _, kind = unit.removeprefix(self._web).rpartition(".")
            if state != "inactive":
                up = "listening" if kind == "socket" and state == ACTIVE else state
                found.setdefault(release, up)
        return found

    @property
    def _web(self) -> str:
        return f"{self._site.app}-web@"

    def _argv(self, *args: str) -> tuple[str, ...]:
        return (*self._site.unit_helper, *args)

    def _look(self, *args: str) -> str:
        done = run(("systemctl", *args), HELPER_SECONDS)
        if done.returncode != 0:
            raise NeedsYou(
                f"`systemctl {' '.join(args)}` failed on the droplet. Look: journalctl -u dbus",
                done.stderr.splitlines()[-LOG_LINES:],
            )
        return done.stdout

    def _call(
        self, *args: str, seconds: float = HELPER_SECONDS, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        done = run(self._argv(*args), seconds)
        if check:
            self._check(done, *args)
        return done

    def _check(self, done: subprocess.CompletedProcess[str], *args: str) -> None:
        if done.returncode != 0:
            raise NeedsYou(
                f"`{' '.join(self._argv(*args)[2:])}` failed on the droplet. "
                "Run: ansible-playbook site.yml",
                done.stderr.splitlines()[-LOG_LINES:],
            )


def _tell(helper: subprocess.Popen[str], line: str) -> None:
    # One of an older playbook has ended; its exit code says so.
    with suppress(OSError):
        if helper.stdin:
            helper.stdin.write(f"{line}\n")
            helper.stdin.flush()
