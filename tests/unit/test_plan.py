"""Which release to go back to, and which ones may leave: whatever happened before."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from deploy.host import audit
from deploy.host.audit import Past, fold
from deploy.host.errors import Refused
from deploy.host.plan import (
    judge_breaking,
    named_target,
    newest_migrated,
    prunable,
    rollback_target,
    staged,
)
from deploy.host.release import Release
from tests.unit.test_release import a_release

# Where kill -9 may hit a run that makes a release live.
KILLED = st.sampled_from(["never", "before the switch", "after the switch", "before pruning"])


class Droplet(RuleBasedStateMachine):
    """Events in the order in which the release tool writes them, and what is true of each release.

    ``proved`` and ``bad`` are told apart from the log, so that the log's reading is judged too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.releases: list[Release] = []
        self.log: list[dict[str, Any]] = []
        self.current: Release | None = None
        self.proved: set[str] = set()
        self.bad: set[str] = set()
        self.takes_back: dict[str, str | None] = {}
        self.before: Release | None = None
        self.keep = 1
        self.pushed = 0

    @property
    def pasts(self) -> Mapping[str, Past]:
        return fold(self.log)

    @property
    def current_id(self) -> str | None:
        return self.current.id if self.current else None

    def write(self, event: str, release: Release, **facts: str | None) -> None:
        line = {"at": str(len(self.log)), "event": event, "release": release.id, **facts}
        self.log.append(line)

    @property
    def others(self) -> list[Release]:
        return [r for r in self.releases if r is not self.current]

    def prove(self, release: Release) -> None:
        self.write(audit.LIVE, release)
        self.proved.add(release.id)
        self.bad.discard(release.id)
        if (taken_back := self.takes_back.get(release.id)) is not None:
            self.bad.add(taken_back)

    def fail(self, release: Release) -> None:
        self.write(audit.FAILED, release)
        self.bad.add(release.id)

    def recover(self, healthy: bool) -> None:
        if self.current is None or self.pasts[self.current.id].event != audit.SWITCHED:
            return
        if healthy:
            self.prove(self.current)
        else:
            self.fail(self.current)
            if self.before in self.releases:
                self.current = self.before

    def activate(self, release: Release, killed: str, takes_back: str | None = None) -> bool:
        self.write(audit.SWITCHED, release, takes_back=takes_back)
        self.takes_back[release.id] = takes_back
        if killed == "before the switch":
            return False
        self.before, self.current = self.current, release
        if killed == "after the switch":
            return False
        self.prove(release)
        return True

    @rule(keep=st.integers(1, 3))
    def change_the_inventory(self, keep: int) -> None:
        self.keep = keep

    @rule()
    def push(self) -> None:
        self.pushed += 1
        self.releases.append(a_release(self.pushed))
        self.write(audit.PUSHED, self.releases[-1])

    @precondition(lambda self: self.others)
    @rule(data=st.data())
    def fail_the_gate(self, data: st.DataObject) -> None:
        self.fail(data.draw(st.sampled_from(self.others)))

    @precondition(lambda self: self.others)
    @rule(data=st.data())
    def fail_the_bake(self, data: st.DataObject) -> None:
        release = data.draw(st.sampled_from(self.others))
        self.write(audit.SWITCHED, release)
        self.takes_back[release.id] = None
        self.fail(release)

    @rule(killed=KILLED, healthy=st.booleans())
    def deploy(self, killed: str, healthy: bool) -> None:
        self.recover(healthy)
        self.push()
        if self.activate(self.releases[-1], killed) and killed != "before pruning":
            self.prune()

    @rule(killed=KILLED, healthy=st.booleans(), by_name=st.booleans(), data=st.data())
    def roll_back(self, killed: str, healthy: bool, by_name: bool, data: st.DataObject) -> None:
        self.recover(healthy)
        left = self.current
        named = [r for r in self.others if r.id in self.proved]
        if named and by_name:
            name = data.draw(st.sampled_from(named)).id
            target = named_target(self.releases, self.pasts, self.current_id, name)
        else:
            try:
                target = rollback_target(self.releases, self.pasts, self.current_id)
            except Refused:
                return
        newer = left.id if left and left.sequence > target.sequence else None
        self.activate(target, killed, takes_back=newer)

    @precondition(lambda self: self.current is not None)
    @rule()
    def prune(self) -> None:
        for release in prunable(self.releases, self.pasts, self.current_id, self.keep):
            self.releases.remove(release)
            self.write(audit.PRUNED, release)

    @invariant()
    def a_rollback_goes_to_the_newest_that_proved_itself_before(self) -> None:
        if self.current is None:
            return
        limit = self.current.sequence
        good = [r for r in self.releases if r.id in self.proved - self.bad and r.sequence < limit]
        try:
            target = rollback_target(self.releases, self.pasts, self.current_id)
        except Refused:
            assert not good
        else:
            assert target is good[-1]

    @invariant()
    def what_may_be_needed_is_never_pruned(self) -> None:
        gone = prunable(self.releases, self.pasts, self.current_id, self.keep)
        if self.current is None:
            assert gone == ()
            return
        limit = self.current.sequence
        assert all(r.sequence < limit for r in gone)
        newest = [r for r in self.releases if r.id in self.proved][-self.keep :]
        assert not any(r in gone for r in newest)
        good = [r for r in self.releases if r.id in self.proved - self.bad and r.sequence < limit]
        assert not any(r in gone for r in good[-1:])

    @invariant()
    def no_more_is_kept_than_was_asked_for(self) -> None:
        if self.current is None:
            return
        limit = self.current.sequence
        gone = prunable(self.releases, self.pasts, self.current_id, self.keep)
        older = [r for r in self.releases if r not in gone and r.sequence < limit]
        # One more, when what a rollback would go to is older than the newest that are kept.
        assert len(older) <= self.keep + 1
        assert all(r.id in self.proved for r in older)


TestDroplet = Droplet.TestCase
TestDroplet.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)

FIRST, SECOND, THIRD = (a_release(n) for n in (1, 2, 3))
ALL = (FIRST, SECOND, THIRD)
LIVE = Past(event=audit.LIVE, live=True)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("2025", "No release 2025; there are: "),
        ("20260801", "3 releases start with 20260801"),
        (THIRD.id, "is live already"),
        (SECOND.id, "never was live and healthy (failed)"),
    ],
)
def test_a_name_that_is_no_target_is_answered_with_what_is_wrong(name: str, said: str) -> None:
    pasts = {FIRST.id: LIVE, SECOND.id: Past(event=audit.FAILED, bad=True), THIRD.id: LIVE}
    with pytest.raises(Refused) as refused:
        named_target(ALL, pasts, THIRD.id, name)
    assert said in refused.value.message
    assert refused.value.message.endswith("Run: invoke releases")


def test_the_beginning_of_an_id_is_enough_when_it_is_the_only_one() -> None:
    pasts = dict.fromkeys((r.id for r in ALL), LIVE)
    assert named_target(ALL, pasts, THIRD.id, FIRST.id[:11]) is FIRST
    # An id that is the beginning of another one means itself.
    longer = a_release(4, id=FIRST.id + "89")
    pasts[longer.id] = LIVE
    assert named_target((*ALL, longer), pasts, THIRD.id, FIRST.id) is FIRST


def test_a_release_that_was_taken_back_is_still_there_for_whoever_names_it() -> None:
    pasts = {FIRST.id: LIVE, SECOND.id: Past(event=audit.ROLLED_BACK, live=True, bad=True)}
    assert named_target(ALL, pasts, FIRST.id, SECOND.id) is SECOND


def test_the_clock_does_not_decide_what_is_older() -> None:
    # The droplet's clock was 100 days ahead when the first one was made.
    ahead = a_release(1, id="20261109T120000-0123456")
    pasts = {ahead.id: LIVE, SECOND.id: LIVE}
    assert rollback_target((ahead, SECOND), pasts, SECOND.id) is ahead
    with pytest.raises(Refused):
        rollback_target((ahead, SECOND), pasts, ahead.id)


def test_keeping_none_still_keeps_the_way_back() -> None:
    pasts = dict.fromkeys((r.id for r in ALL), LIVE)
    assert prunable(ALL, pasts, THIRD.id, keep=0) == (FIRST,)


def test_without_a_live_release_there_is_nothing_to_roll_back() -> None:
    with pytest.raises(Refused, match="Run: invoke deploy"):
        rollback_target(ALL, {}, None)


def test_the_database_may_be_ahead_of_what_is_live() -> None:
    migrated = [{"at": "", "event": audit.MIGRATED, "release": SECOND.id}]
    assert newest_migrated(ALL, migrated, FIRST.id) is SECOND
    assert newest_migrated(ALL, migrated, THIRD.id) is THIRD
    reversed_ = [*migrated, {"at": "", "event": audit.REVERSED, "release": SECOND.id}]
    assert newest_migrated(ALL, reversed_, FIRST.id) is FIRST
    assert newest_migrated(ALL, [*reversed_, *migrated], FIRST.id) is SECOND
    assert newest_migrated((FIRST, THIRD), migrated, FIRST.id) is FIRST
    assert newest_migrated(ALL, [], FIRST.id) is FIRST
    assert newest_migrated((), [], None) is None


def test_a_release_is_staged_until_something_else_happens_to_it() -> None:
    log = [{"at": "", "event": audit.STAGED, "release": r.id} for r in (FIRST, SECOND)]
    log.append({"at": "", "event": audit.LIVE, "release": FIRST.id})
    assert staged(fold(log)) == {SECOND.id}


HARMLESS: dict[str, Any] = {"name": "catalog.0003_note", "breaks": []}
BREAKING: dict[str, Any] = {"name": "catalog.0004_shelf", "breaks": ["NOT NULL without a default"]}
SINCE = "2026-08-01T12:00:00.000+00:00"


@pytest.mark.parametrize(
    ("pending", "allowed", "closed_since"),
    [
        ([HARMLESS], False, None),
        ([HARMLESS], False, SINCE),
        ([HARMLESS, BREAKING], True, None),
        ([HARMLESS, BREAKING], True, SINCE),
    ],
)
def test_migrations_go_ahead_without_a_word_when_they_break_nothing_or_somebody_said_so(
    pending: list[dict[str, Any]], allowed: bool, closed_since: str | None
) -> None:
    assert judge_breaking(pending, "LIVE", allowed, closed_since) is None


def test_during_maintenance_breaking_migrations_go_ahead_and_it_says_why() -> None:
    why = judge_breaking([HARMLESS, BREAKING], "LIVE", False, SINCE)
    assert why == (
        "LIVE cannot live with catalog.0004_shelf: applied all the same, because maintenance has "
        "been on since 2026-08-01T12:00:00 UTC and visitors are kept out"
    )


def test_breaking_migrations_are_refused_with_both_ways_to_go_ahead() -> None:
    with pytest.raises(Refused) as refused:
        judge_breaking([HARMLESS, BREAKING], "LIVE", False, None)
    assert refused.value.detail == ("catalog.0004_shelf: NOT NULL without a default",)
    assert refused.value.message.startswith("1 migrations would break LIVE")
    assert "invoke maintenance.on" in refused.value.message
    assert "invoke deploy --allow-breaking" in refused.value.message
