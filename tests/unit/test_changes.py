"""What a release changes against another one."""

import json

from deploy.changes import counted, details, in_short, listed
from deploy.host.changes import (
    Changes,
    ConfigVar,
    Made,
    Package,
    compare,
    packages_of,
    parse,
    short,
)
from deploy.revision import Commit, Commits

OLD = Made(
    packages={"django": "5.2.1", "six": "1.16", "gunicorn": "27.0"},
    migrations=("catalog.0001", "catalog.0002"),
    processes={"web": "gunicorn mysite.wsgi", "worker": "celery"},
)
NEW = Made(
    packages={"django": "5.2.3", "pillow": "11.0", "gunicorn": "27.0"},
    migrations=("catalog.0001", "catalog.0003"),
    processes={"web": "gunicorn mysite.wsgi --threads 8", "worker": "celery"},
)
ADA, BOB = Commit("a" * 40, "Ada", "Sort shelves"), Commit("b" * 40, "Bob", "Renew")
VARS = (ConfigVar("EMAIL_HOST", "added"), ConfigVar("API_TOKEN", "changed"))


def test_each_kind_of_change_is_told_by_name() -> None:
    changes = compare("one", "abc", OLD, NEW, VARS)
    assert list(map(str, changes.packages)) == [
        "django 5.2.1 -> 5.2.3",
        "pillow 11.0 added",
        "six 1.16 removed",
    ]
    assert (changes.migrations, changes.unknown) == (("catalog.0003",), ("catalog.0002",))
    assert changes.processes == ("web",)
    assert list(map(str, VARS)) == ["EMAIL_HOST added", "API_TOKEN changed"]


def test_two_of_a_kind_are_equal_when_nothing_differs() -> None:
    assert compare("one", "abc", OLD, OLD, ()) == Changes("one", "abc")
    assert short(Changes("one", "abc")) == []


def test_a_line_names_two_and_counts_more() -> None:
    assert short(compare("one", "abc", OLD, NEW, VARS)) == [
        "3 packages",
        "1 migration",
        "without 1 migration",
        "config EMAIL_HOST, API_TOKEN",
        "process web",
    ]
    few = Changes("one", "abc", packages=(Package("django", "1", "2"),), migrations=("a", "b"))
    assert short(few) == ["django 1 -> 2", "2 migrations"]
    assert short(Changes("one", "abc", config=None)) == ["config vars"]
    many = tuple(ConfigVar(name, "added") for name in "ABC")
    assert short(Changes("one", "abc", config=many)) == ["config 3 vars"]


def test_it_travels_as_json() -> None:
    for config in (VARS, None):
        changes = compare("one", "abc", OLD, NEW, config)
        assert parse(json.loads(json.dumps(changes.to_json()))) == changes


def test_a_package_has_one_name_however_its_author_writes_it() -> None:
    sbom = {"components": [{"name": "Solo_Part", "version": "1"}, {"name": "a-b", "version": "2"}]}
    assert packages_of(sbom) == {"solo-part": "1", "a-b": "2"}


def test_commits_are_counted_and_listed_on_both_sides() -> None:
    both = Commits(new=(ADA, BOB), gone=(BOB,))
    assert counted(both) == ["2 commits", "without 1 commit"]
    assert listed(both, most=1) == [
        "2 commits, without 1 commit",
        "+ aaaaaaa  Sort shelves (Ada)",
        "+ and 1 more",
        "- bbbbbbb  Renew (Bob)",
    ]
    assert (counted(Commits()), listed(Commits())) == ([], [])


def test_a_release_in_short_and_in_full() -> None:
    changes = compare("one", "abc", OLD, NEW, VARS[:1])
    release = {"changes": changes.to_json()}
    told = "3 packages, 1 migration, without 1 migration, config EMAIL_HOST, process web"
    assert in_short(release, Commits(new=(ADA,))) == f"1 commit, {told}"
    assert in_short(release, None) == told
    assert in_short({"changes": None}, None) == ""
    assert details(changes)[1:] == [
        ["config EMAIL_HOST added"],
        ["migration catalog.0003"],
        ["without migration catalog.0002"],
        ["process web"],
    ]
