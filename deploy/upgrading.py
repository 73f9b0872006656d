"""A newer major version of PostgreSQL: what there is, what it would take, and the steps there."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from deploy import as_root, patching, playbook
from deploy.console import Console, size
from deploy.conversation import Request, conversation
from deploy.errors import BackedOut, NeedsYou, Refused
from deploy.target import Target

BIN = Path(sys.executable).parent
PLAYBOOK = "upgrade_postgres"
# By this a run knows the maintenance of one that was killed, and ends it.
MESSAGE = "We are upgrading the database of this site. Please come back a little later."
# The rehearsal holds a copy and its upgrade; 200 MB are for the newer version's packages.
COPIES, PACKAGES = 2, 200_000_000
# Ansible asks, installs nothing new, writes the newer cluster's settings: so many times a look.
LOOKS = 3
# Keeps the visitors of the droplet's other sites out, and says which those are.
OTHERS_OUT = """
for app in {apps}; do
    root=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["root"])' \
        "/etc/slipway/$app.json")
    [ ! -e "$root/current" ] || [ -L "$root/maintenance/on" ] ||
        {{ slipway "$app" maintenance on --message {message} >/dev/null && echo "$app"; }}
done
"""


@dataclass(frozen=True)
class State:
    """What a droplet has. ``kept`` are clusters beside the one in use, oldest first.

    ``rehearsal`` is what the last one measured, ``method`` how files would be copied: upgrade, or
    clone where the file system can; ``written`` counts rows since the cluster began to count.
    ``look_seconds`` is what it took Ansible to find that out.
    """

    live: int
    wanted: int
    kept: tuple[int, ...]
    offered: bool
    extensions: tuple[str, ...]
    written: int
    bytes: int
    free: int
    method: str
    rehearsal: dict[str, Any] | None
    look_seconds: float

    @property
    def rehearsed(self) -> dict[str, Any] | None:
        """The rehearsal, if it was of this very upgrade."""
        found = self.rehearsal
        same = found and (found["from"], found["to"]) == (str(self.live), str(self.wanted))
        return found if same else None

    def lines(self) -> list[str]:
        """The upgrade, for people."""
        done = self.rehearsed
        lines = [f"upgrade    PostgreSQL {self.live} to {self.wanted}, {size(self.bytes)}"]
        names = [name for name in self.extensions if name != "plpgsql"]
        if names:
            lines.append(f"extensions {', '.join(names)}: {self.wanted} has them")
        if done:
            at = datetime.fromisoformat(done["at"])
            lines.append(
                f"rehearsed  {at:%Y-%m-%d %H:%M} UTC on a copy: {done['seconds']:.0f} s, and every "
                "table and index checked"
            )
            seconds = done["seconds"] + LOOKS * self.look_seconds
            lines.append(f"meanwhile  about {seconds:.0f} s: visitors get the page of maintenance")
        lines.append(f"kept       PostgreSQL {self.live}, until: invoke db.upgrade --finish")
        return lines


def look(root: Path, target: Target) -> State:
    """What there is; it changes nothing.

    Raises:
        Refused: the droplet does not answer, or has no PostgreSQL.
    """
    check_kind(target)
    began = time.monotonic()
    try:
        found = playbook.facts(root, PLAYBOOK, target.inventory, "postgres_upgrade_found")
        told = found[target.name]
    except (playbook.NoAnswer, KeyError) as said:
        raise Refused(f"{target.name} does not tell its PostgreSQL: {said.args[-1]}") from None
    return parse(told, round(time.monotonic() - began, 1))


def check_kind(target: Target) -> None:
    """Raises Refused where the database is a file."""
    if target.database != "postgresql":
        raise Refused(
            f"The database of {target.environment} is a file: there is no server to upgrade"
        )


def parse(told: dict[str, Any], look_seconds: float) -> State:
    """What the role postgres_upgrade says."""
    return State(
        live=int(told["live"]),
        wanted=int(told["wanted"]),
        kept=tuple(sorted(int(version) for version in told["kept"])),
        offered=bool(told["offered"]),
        extensions=tuple(told["extensions"]),
        written=int(told["written"]),
        bytes=int(told["bytes"]),
        free=int(told["free"]),
        method=str(told["method"]),
        rehearsal=told["rehearsal"],
        look_seconds=look_seconds,
    )


def check_upgrade(state: State, name: str) -> None:
    """Whether there is something to upgrade, and room for it.

    Raises:
        Refused: there is not.
    """
    if state.wanted == state.live:
        raise Refused(
            f"{name} has PostgreSQL {state.live}, the one that the inventory wants. Another one: "
            "site_postgres_version"
        )
    if state.wanted < state.live:
        raise Refused(
            f"{name} has PostgreSQL {state.live}, newer than {state.wanted}, which the inventory "
            "wants. Back to the one before an upgrade: invoke db.upgrade --back"
        )
    if not state.offered:
        raise Refused(
            f"{name} is offered no postgresql-{state.wanted}. The versions of a system are in "
            "site_postgres_versions; others need their packages in the droplet's sources of apt"
        )
    if state.wanted in state.kept:
        raise Refused(
            f"{name} has a cluster {state.wanted}/main already, beside the one in use. If nobody "
            f"needs it, drop it there: pg_dropcluster --stop {state.wanted} main"
        )
    needed = PACKAGES + (COPIES * state.bytes if state.method == "upgrade" else state.bytes)
    if state.free < needed:
        raise Refused(
            f"{name} has {size(state.free)} of free disk, and this needs {size(needed)}: a copy to "
            "rehearse on, and the newer cluster. Make room"
        )


def check_back(state: State, name: str) -> int:
    """The version to go back to.

    Raises:
        Refused: none is kept.
    """
    older = [version for version in state.kept if version < state.live]
    if not older:
        raise Refused(f"{name} keeps no older cluster beside PostgreSQL {state.live}")
    return max(older)


def run(root: Path, target: Target, step: str) -> bool:
    """Run a step of the playbook; whether it went well. Its lines go to standard error."""
    inventory = ("--inventory", target.inventory, "--extra-vars", json.dumps({"step": step}))
    argv = (BIN / "ansible-playbook", f"playbooks/{PLAYBOOK}.yml", *inventory)
    return subprocess.run(argv, cwd=root, stdout=sys.stderr).returncode == 0


def rehearse(request: Request, console: Console) -> State:
    """Upgrade a copy beside the cluster in use, which goes on serving, and measure it.

    Raises:
        BackedOut: it failed, which the upgrade would have too; nothing is left of it.
    """
    target = request.target
    with console.phase("rehearse"):
        went_well = run(request.root, target, "rehearse")
    if not went_well:
        raise BackedOut(
            f"The upgrade cannot be done on a copy, and nothing was changed on {target.name}. The "
            "lines above say what hinders it"
        )
    return look(request.root, target)


def upgrade(request: Request, console: Console, state: State) -> dict[str, Any]:
    """Upgrade the cluster of the droplet, with visitors of all its sites kept out.

    Raises:
        Refused: somebody deploys.
        BackedOut: it failed; the older version serves.
        NeedsYou: it failed, and what serves has to be looked at.
    """
    return _step(request, console, "upgrade", state.live, state.wanted)


def back(request: Request, console: Console, state: State) -> dict[str, Any]:
    """Use the older cluster again, as it was when it was upgraded.

    Raises:
        Refused: somebody deploys, or no older one is kept.
        NeedsYou: it failed.
    """
    older = check_back(state, request.target.environment)
    return _step(request, console, "back", state.live, older)


def finish(request: Request, console: Console) -> None:
    """Drop the clusters that are not in use, and remove their packages.

    Raises:
        NeedsYou: it failed.
    """
    with console.phase("finish"):
        went_well = run(request.root, request.target, "finish")
    if not went_well:
        raise NeedsYou(f"Not all was removed on {request.target.name}; run it again")


def _step(request: Request, console: Console, step: str, now: int, then: int) -> dict[str, Any]:
    root, target = request.root, request.target
    with conversation(request, console, lock=True) as (session, facts):
        on, others = facts["maintenance"], facts["others"]
        mine = on is None or on["message"] == MESSAGE
        with _others_kept_out(root, target, others, request.wait):
            if on is None and facts["current"]:
                session.call("maintenance on", {"message": MESSAGE, "allow": []})
            began = time.monotonic()
            try:
                with console.phase(step):
                    went_well = run(root, target, step)
                if facts["current"]:
                    session.call("restart", {"process": None})
            finally:
                if mine:
                    session.call("maintenance off")
            seconds = round(time.monotonic() - began, 1)
    found = look(root, target)
    if found.live != then:
        raise BackedOut(
            f"{target.name} still has PostgreSQL {now}, and serves from it. The lines above say "
            "what hindered"
        )
    if not went_well:
        raise NeedsYou(
            f"{target.name} has PostgreSQL {then}, and {PLAYBOOK}.yml failed after that; its last "
            "task says where. Run: ansible-playbook site.yml"
        )
    return {"from": now, "to": then, "seconds": seconds, "kept": list(found.kept)}


@contextmanager
def _others_kept_out(
    root: Path, target: Target, others: Sequence[str], wait: bool
) -> Iterator[None]:
    """The visitors of the droplet's other sites, and whoever deploys these."""
    if not others:
        yield
        return
    who = f"invoke db.upgrade of {target.app}"
    line = OTHERS_OUT.format(apps=shlex.join(others), message=shlex.quote(MESSAGE))
    closed = as_root.shell(root, target, line).get("stdout", "").split()
    try:
        with patching.deploys_kept_away(root, target, others, who, wait):
            yield
    finally:
        for app in closed:
            as_root.shell(root, target, f"slipway {app} maintenance off --wait")
