"""What going back would leave in the database."""

from deploy.host.migrating import Difference, unknown_to
from tests.unit.test_release import a_release


def test_migrations_that_the_older_release_does_not_know_are_named() -> None:
    old = a_release(1, migrations=["a.0001", "b.0001"])
    new = a_release(2, migrations=["a.0001", "a.0003", "a.0002"])
    assert unknown_to(old, new) == ["a.0002", "a.0003"]
    assert unknown_to(new, old) == ["b.0001"]
    assert unknown_to(old, old) == []


def test_a_difference_is_additive_until_something_breaks() -> None:
    assert Difference().additive
    assert Difference(("a.0002",), breaks={}).additive
    assert not Difference(("a.0002",), breaks={"a.0002": ["column isbn is gone"]}).additive
