"""invoke audit: the table of references, bars and figures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from audits import model, waivers
from audits.errors import AuditError
from audits.model import Audit, Verdict, Waiver
from deploy.cli.task import ENVIRONMENT, ROOT, task
from deploy.console import Console
from deploy.errors import NeedsYou, Refused
from deploy.inventory import read_target


@task(
    help={
        "only": "names of audits, separated by commas",
        "slow": "also those that take minutes",
        "drift": "only what differs from what the roles would make",
    }
)
def audit(
    console: Console,
    env: str = ENVIRONMENT,
    only: str = "",
    slow: bool = False,
    drift: bool = False,
    json: bool = False,
) -> None:
    """Hold the host against the strictest references: a table of bars, figures and waivers.

    Example: invoke audit --env production
    """
    # Here, because every other task would wait for what only this one needs.
    from audits.subject import connect

    chosen = _choose("drift" if drift else only, slow)
    subject = connect(read_target(ROOT, env), ROOT)
    verdicts = []
    try:
        known = waivers.read(ROOT)
        for one in chosen:
            with console.phase(one.name):
                verdicts.append(model.judge(one, one.ask(subject), known))
    except (AuditError, RuntimeError) as error:
        raise Refused(f"The audit stopped: {error}") from None
    failed = [check for verdict in verdicts for check in verdict.failed]
    if json:
        console.result("", [_facts(verdict) for verdict in verdicts])
        sys.exit(NeedsYou.exit_code if failed else 0)
    console.result(_table(verdicts), None)
    for line in [*_remarks(verdicts), *_idle(known, verdicts)]:
        console.result(line, None)
    if failed:
        raise NeedsYou(
            f"{len(failed)} controls are not met. Mend them, or waive them with a reason in "
            f"{waivers.PAGE}",
            [f"{check.control}: {check.title}: {check.problem}" for check in failed],
        )


def _choose(only: str, slow: bool) -> list[Audit]:
    from audits.registry import AUDITS

    names = [name.strip() for name in only.split(",") if name.strip()]
    unknown = sorted(set(names) - {audit.name for audit in AUDITS})
    if unknown:
        known = ", ".join(audit.name for audit in AUDITS)
        raise Refused(f"No audit {', '.join(unknown)}; there are: {known}")
    return [
        audit for audit in AUDITS if audit.name in names or (not names and (slow or not audit.slow))
    ]


def _table(verdicts: Sequence[Verdict]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("audit", "reference", "bar", "figure", "result"):
        table.add_column(column, overflow="fold", no_wrap=column in ("audit", "result"))
    for verdict in verdicts:
        audit, report = verdict.audit, verdict.report
        table.add_row(audit.name, audit.reference, audit.bar, report.figure, _result(verdict))
    return table


def _result(verdict: Verdict) -> str:
    if verdict.report.skipped:
        return "[yellow]skipped[/yellow]"
    if verdict.failed:
        return f"[red]{len(verdict.failed)} failed[/red]"
    waived = f", {len(verdict.waived)} waived" if verdict.waived else ""
    return f"[green]passed[/green]{waived}"


def _remarks(verdicts: Sequence[Verdict]) -> list[str]:
    """What the table has no room for: why something was skipped or waived."""
    skipped = [
        f"{verdict.audit.name} was skipped: {verdict.report.skipped}"
        for verdict in verdicts
        if verdict.report.skipped
    ]
    waived = [
        f"{waiver.reference} {waiver.control} is waived: {waiver.reason}"
        for verdict in verdicts
        for _, waiver in verdict.waived
    ]
    return skipped + waived


def _idle(known: Sequence[Waiver], verdicts: Sequence[Verdict]) -> list[str]:
    """Waivers may be of one system alone, so those that this host does not need are no mistake."""
    return [
        f"{waiver.reference} {waiver.control} is waived in {waivers.PAGE}, and passes here"
        for waiver in model.idle(known, verdicts)
    ]


def _facts(verdict: Verdict) -> dict[str, Any]:
    audit, report = verdict.audit, verdict.report
    return {
        "audit": audit.name,
        "reference": audit.reference,
        "bar": audit.bar,
        "figure": report.figure,
        "skipped": report.skipped,
        "passed": verdict.passed,
        "failed": [asdict(check) for check in verdict.failed],
        "waived": [{**asdict(check), "reason": waiver.reason} for check, waiver in verdict.waived],
    }
