"""The page of `invoke plan`: everything that a deploy or the playbook would change, in lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from deploy.changes import config_told, listed, row
from deploy.console import size
from deploy.drift import Difference
from deploy.host.changes import Changes
from deploy.planfile import Plan
from deploy.revision import Commits, Revision

HIDDEN = "differs; what it holds is not shown"


@dataclass(frozen=True)
class Page:
    """What was found out.

    ``live`` is the live release's release.json, None for none; ``push`` what the droplet answers
    about the push (deploy/host/planning.py); ``pending`` the migrations as they were judged, None
    where they were not; ``judged_with`` the release that was pushed for that, "" for none;
    ``runs`` is the Procfile's release line, "" for none; ``roles`` what site.yml would change, None
    when it was not asked.
    """

    plan: Plan
    domain: str
    revision: Revision
    live: Mapping[str, Any] | None
    same: bool
    commits: Commits | None
    changes: Changes | None
    push: Mapping[str, Any]
    pending: tuple[Mapping[str, Any], ...] | None
    judged_with: str
    runs: str
    refusals: tuple[str, ...]
    roles: tuple[Difference, ...] | None

    def to_json(self) -> dict[str, Any]:
        return {
            "plan": asdict(self.plan),
            "changed": not self.same or bool(self.roles),
            "live": self.live,
            "commits": asdict(self.commits) if self.commits else None,
            "changes": self.changes.to_json() if self.changes else None,
            "pending": self.pending,
            "judged_with": self.judged_with,
            "runs": self.runs,
            "disk": {name: self.push[name] for name in ("objects", "bytes", "needed", "free")},
            "refusals": self.refusals,
            "roles": None if self.roles is None else [asdict(one) for one in self.roles],
        }


def lines(page: Page) -> list[str]:
    """The page, for people."""
    plan = page.plan
    told = [*row("site", [f"{plan.site} on {plan.host} ({plan.environment}), {page.domain}"])]
    live = page.live
    told += row("live", [f"{live['id']}  {live['subject']}" if live else "nothing yet"])
    told += row("revision", [f"{page.revision.short}  {page.revision.subject}"])
    if page.same:
        told += row("deploy", ["changes nothing: this revision is live with these config vars"])
    else:
        told += _release(page)
    told += row("host", _host(page.roles))
    for refusal in page.refusals:
        told += row("refused", [f"a deploy would end so: {refusal}"])
    return told


def _release(page: Page) -> Iterator[str]:
    """What a deploy would change."""
    changes = page.changes
    yield from row("commits", _commits(page))
    if changes:
        yield from row("packages", map(str, changes.packages))
        yield from row("config", config_told(changes))
        yield from row("processes", (f"{name} of the Procfile" for name in changes.processes))
    yield from row("migrations", _migrations(page))
    if page.runs:
        yield from row("runs", [f"{page.runs}  (the Procfile's release line)"])
    push = page.push
    yield from row(
        "disk",
        [
            f"{size(push['bytes'])} to send in {push['objects']} files, before compression; "
            f"{size(push['needed'])} have to be free, {size(push['free'])} are"
        ],
    )


def _commits(page: Page) -> Iterator[str]:
    if page.live is None:
        return
    if page.commits is None:
        yield f"not known here: {page.live['revision'][:7]} is not in this repository"
        return
    if not (page.commits.new or page.commits.gone):
        yield "none: the same code"
        return
    yield from listed(page.commits)


def _migrations(page: Page) -> Iterator[str]:
    """With their SQL, and whether the live release can live with it."""
    if page.live is None:
        yield f"{len(page.plan.migrations)}, and nothing is live that they could break"
        return
    if page.pending is None:
        yield from (f"{name}  not judged" for name in page.plan.migrations)
    for migration in page.pending or ():
        breaks = "; ".join(migration["breaks"])
        risk = f"breaks {page.live['id']}: {breaks}" if breaks else "the live release lives with it"
        yield f"{migration['name']}  {risk}"
        sql = migration["sql"].splitlines()
        yield from (f"    {line}" for line in sql if line.strip() and not line.startswith("--"))
    if page.judged_with:
        yield (
            f"judged with {page.judged_with}, which was pushed for it and removed again; its files "
            "wait for the deploy"
        )
    if page.changes and page.changes.unknown:
        yield f"{', '.join(page.changes.unknown)}: applied, and not known to this revision"


def _host(roles: tuple[Difference, ...] | None) -> Iterator[str]:
    if roles is None:
        yield "not looked at (--no-host)"
        return
    if not roles:
        yield "ansible-playbook site.yml changes nothing"
        return
    yield f"{len(roles)} changes by ansible-playbook site.yml, which a deploy does not make"
    for one in roles:
        yield one.place if one.place == one.task else f"{one.place}  ({one.task})"
        yield from (f"    {line}" for line in ([HIDDEN] if one.lines is None else one.lines))
