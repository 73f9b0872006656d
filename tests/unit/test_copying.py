"""Whether a database may be copied into another environment, and what that would mean."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.copying import Copy, Move, Wish, check_file, check_kind, check_wish, chosen, judge
from deploy.errors import Refused
from deploy.streaming import Source
from deploy.target import parse
from tests.unit.test_inventory import FACTS

PRODUCTION = replace(parse("web1", FACTS, "i"), environment="production", live_data=True)
STAGING = replace(PRODUCTION, environment="staging", live_data=False)
HOOK = "UPDATE auth_user SET email = ''"
RELEASE = {"id": "20261126T1-aaaaaaa", "revision": "a" * 40, "migrations": ["shop.0001"]}
SURVEY = {
    "bytes": 10_000_000,
    "tables": 16,
    "rows": 2280,
    "major": 15,
    "extensions": ["citext", "postgis"],
    "release": RELEASE,
    "anonymise": HOOK,
}
THERE = {
    "bytes": 8_000_000,
    "tables": {"shop_order": 90, "auth_user": 9},
    "major": 17,
    "free": 100_000_000,
    "extensions": {"citext": True, "postgis": False},
    "replaced": [],
}


def copy_of(target: Any = PRODUCTION, **changes: Any) -> Copy:
    return Copy(Source(target.environment), target.live_data, {**SURVEY, **changes})


def judged(copy: Copy, target: Any = STAGING, wish: Wish | None = None, **there: Any) -> Move:
    current = {**RELEASE, "migrations": there.pop("knows", RELEASE["migrations"])}
    return judge(copy, target, {**THERE, **there}, current, wish or Wish())


def test_a_copy_of_live_data_is_made_anonymous_by_the_release_s_own_sql() -> None:
    move = judged(copy_of())
    assert (move.anonymise, move.by) == (HOOK, f"hooks/anonymise.sql of {RELEASE['id']}")
    assert move.extensions == ("postgis",)
    assert move.lines() == [
        "from       production: 10.0 MB, 16 tables, about 2280 rows, PostgreSQL 15",
        "replaces   staging: 8.0 MB, 2 tables, about 99 rows, PostgreSQL 17; kept until: "
        "invoke db.forget",
        f"anonymise  {move.by}",
        "media      stays: uploads are not part of a database",
    ]
    assert move.facts()["from"]["live_data"] is True


def test_without_its_sql_live_data_does_not_come_unless_that_is_said(tmp_path: Path) -> None:
    bare = copy_of(anonymise=None)
    with pytest.raises(Refused, match="no hooks/anonymise.sql.*--no-anonymise"):
        judged(bare)
    move = judged(bare, wish=Wish(as_it_is=True))
    assert move.anonymise is None
    assert "anonymise  nothing: every row comes as it is" in move.lines()
    file = tmp_path / "other.sql"
    file.write_text("DELETE FROM auth_user")
    assert judged(bare, wish=Wish(anonymise=file)).anonymise == "DELETE FROM auth_user"
    with pytest.raises(Refused, match="Choose one"):
        judged(bare, wish=Wish(anonymise=file, as_it_is=True))
    with pytest.raises(Refused, match="nowhere.sql cannot be read"):
        judged(bare, wish=Wish(anonymise=tmp_path / "nowhere.sql"))


@pytest.mark.parametrize(("source", "into"), [(STAGING, STAGING), (STAGING, PRODUCTION)])
def test_what_is_about_nobody_comes_as_it_is(source: Any, into: Any) -> None:
    assert judged(copy_of(source), replace(into, environment="other")).anonymise is None


def test_live_data_may_move_to_where_live_data_is() -> None:
    """A new production host would be of no use with nobody's names."""
    assert judged(copy_of(), replace(PRODUCTION, environment="harbour")).anonymise is None


def test_of_a_file_nobody_knows_whose_rows_it_has() -> None:
    file = Copy(Source("old.dump"), live_data=True, survey=None)
    with pytest.raises(Refused, match="Nobody knows whose rows old.dump has"):
        judged(file)
    assert judged(file, wish=Wish(as_it_is=True)).anonymise is None
    assert judged(file, PRODUCTION).anonymise is None


def test_live_data_is_replaced_only_by_who_types_its_name() -> None:
    check_wish(copy_of(), STAGING, Wish())
    copy = copy_of(STAGING)
    check_wish(copy, PRODUCTION, Wish(replace="production"))
    with pytest.raises(Refused, match="production has live data.*--replace production"):
        check_wish(copy, PRODUCTION, Wish())
    with pytest.raises(Refused, match="--replace staging is not production"):
        check_wish(copy, PRODUCTION, Wish(replace="staging"))
    with pytest.raises(Refused, match="copied into itself"):
        check_wish(copy, STAGING, Wish())


def test_live_data_goes_into_a_file_only_if_that_is_said() -> None:
    check_file(STAGING, as_it_is=False)
    check_file(PRODUCTION, as_it_is=True)
    with pytest.raises(Refused, match="production has live data.*--no-anonymise"):
        check_file(PRODUCTION, as_it_is=False)


def test_a_database_in_a_file_is_not_copied() -> None:
    with pytest.raises(Refused, match="data/db.sqlite3"):
        check_kind(replace(STAGING, database="sqlite"))


@pytest.mark.parametrize(
    ("there", "sentence"),
    [
        ({"major": 14}, "has 14, which cannot read .* invoke db.upgrade --env staging"),
        ({"extensions": {"citext": True}}, "lacks the extensions postgis.*site_packages"),
        # As many bytes as the database has do not hold it and what the hook writes anew.
        ({"free": 20_000_000}, "20.0 MB of free disk, and this needs 24.0 MB"),
    ],
)
def test_what_does_not_fit_is_one_sentence(there: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        judged(copy_of(), **there)


def test_the_live_release_has_to_know_the_copy_s_migrations() -> None:
    move = judged(copy_of(), knows=["shop.0001", "shop.0002"])
    assert move.migrations == ("shop.0002",)
    assert "migrate    shop.0002" in move.lines()
    with pytest.raises(Refused, match="does not know shop.0001.*--revision aaaaaaaaaaaa"):
        judged(copy_of(), knows=[])
    assert judge(copy_of(), STAGING, THERE, None, Wish()).migrations == ()


def test_the_one_replaced_last_comes_back_unless_another_is_named() -> None:
    kept = {"replaced": [{"name": "shop_replaced_1"}, {"name": "shop_replaced_2"}]}
    assert chosen(STAGING, kept, "") == "shop_replaced_2"
    assert chosen(STAGING, kept, "shop_replaced_1") == "shop_replaced_1"
    with pytest.raises(Refused, match="keeps no database shop: shop_replaced_1"):
        chosen(STAGING, kept, "shop")
    with pytest.raises(Refused, match="keeps no database beside its own: none"):
        chosen(STAGING, {"replaced": []}, "")
