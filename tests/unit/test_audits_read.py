"""What the tools behind the audits print, and what an audit makes of it."""

import json

import pytest

from audits import django, packages

# As pip-audit's own documentation shows its JSON.
HOLES = {
    "dependencies": [
        {
            "name": "flask",
            "version": "0.5",
            "vulns": [
                {
                    "id": "PYSEC-2019-179",
                    "fix_versions": ["1.0"],
                    "aliases": ["CVE-2019-1010083"],
                    "description": "The Pallets Project Flask before 1.0 is affected by ...",
                },
                {"id": "PYSEC-2018-66", "fix_versions": [], "aliases": [], "description": "..."},
            ],
        },
        {"name": "jinja2", "version": "3.0.2", "vulns": []},
    ],
    "fixes": [],
}
UNANSWERED = {"name": "acme", "skip_reason": "Dependency not found on PyPI: acme (1.0)"}


def test_a_known_hole_is_told_with_what_mends_it() -> None:
    answer = packages.read(json.dumps(HOLES))
    assert answer.holes == [
        "flask 0.5: known hole, fixed in 1.0",
        "flask 0.5: known hole, fixed in no version yet",
    ]
    assert [check.control for check in answer.checks] == [
        "PYSEC-2019-179",
        "PYSEC-2018-66",
        "jinja2",
    ]
    assert answer.skipped is None


def test_an_index_without_a_list_of_holes_is_no_pass() -> None:
    answer = packages.read(json.dumps({"dependencies": [UNANSWERED], "fixes": []}))
    assert (answer.checks, answer.holes) == ((), [])
    assert answer.skipped
    assert "1 of 1 packages not checked" in answer.skipped


@pytest.mark.parametrize("said", ["", "Traceback", "[]", "{}"])
def test_what_is_no_answer_is_none(said: str) -> None:
    with pytest.raises(ValueError, match="no answer"):
        packages.read(said)


def test_the_sbom_is_asked_as_requirements() -> None:
    parts = [{"name": "Django", "version": "5.2.19"}, {"name": "gunicorn", "version": "27.0.1"}]
    assert packages.requirements({"components": parts}) == "Django==5.2.19\ngunicorn==27.0.1\n"


CHECKED = """\
System check identified some issues:

WARNINGS:
?: (security.W004) You have not set a value for the SECURE_HSTS_SECONDS setting. If your site
catalog.Book.cover: (fields.W340) null has no effect on ManyToManyField.
\tHINT: (see the docs)

System check identified 2 issues (0 silenced).
"""


def test_every_finding_of_django_is_a_check() -> None:
    found = django.read(CHECKED)
    assert [check.control for check in found] == ["security.W004", "fields.W340"]
    assert found[1].title == "catalog.Book.cover"
    assert django.read("System check identified no issues (0 silenced).\n") == ()
