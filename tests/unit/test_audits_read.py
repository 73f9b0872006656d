"""What the tools behind the audits print, and what an audit makes of it."""

import json
from typing import Any

import pytest

from audits import django, drift, packages, updates
from deploy import drift as roles
from deploy.playbook import NoAnswer
from deploy.updates import read

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


SIMULATED = """\
== upgrades
Reading package lists...
Inst libssl3t64 [3.5.1-1] (3.5.1-1+deb13u1 Debian-Security:13/stable-security [amd64]) []
Inst tzdata [2025a-1] (2025b-1 Debian:13.1/stable [all])
Inst linux-image-6.12.48-amd64 (6.12.48-1 Debian-Security:13/stable-security [amd64])
Conf tzdata (2025b-1 Debian:13.1/stable [all])
== services
NEEDRESTART-VER: 3.11
NEEDRESTART-KCUR: 6.12.43
NEEDRESTART-KEXP: 6.12.48
NEEDRESTART-KSTA: 3
NEEDRESTART-SVC: nginx.service
== reboot
linux-image-6.12.48-amd64
== failed
certbot.service loaded failed failed Certbot
"""
QUIET = "== upgrades\n== services\nNEEDRESTART-VER: 3.6\n== reboot\n== failed\n"


def test_what_a_droplet_lacks_is_read_with_what_is_security() -> None:
    found = read(SIMULATED)
    assert [str(upgrade) for upgrade in found.security] == [
        "libssl3t64 3.5.1-1 -> 3.5.1-1+deb13u1",
        "linux-image-6.12.48-amd64 not installed -> 6.12.48-1",
    ]
    assert [upgrade.name for upgrade in found.upgrades if not upgrade.security] == ["tzdata"]
    assert found.services == ("nginx.service",)
    assert found.reboot == "linux-image-6.12.48-amd64, kernel 6.12.48"
    assert found.failed == ("certbot.service",)


def test_each_thing_that_is_not_up_to_date_fails_the_audit() -> None:
    assert [check.control for check in updates.checks(read(SIMULATED))] == [
        "libssl3t64",
        "linux-image-6.12.48-amd64",
        "nginx.service",
        "reboot",
        "certbot.service",
    ]
    assert updates.checks(read(QUIET)) == ()
    # An answer loses its last newline on its way.
    assert read(QUIET.rstrip()) == read(QUIET)


def test_a_droplet_without_needrestart_is_no_quiet_one() -> None:
    with pytest.raises(ValueError, match="needrestart did not answer"):
        read(QUIET.replace("NEEDRESTART-VER: 3.6\n", ""))


def play(**tasks: dict[str, Any]) -> dict[str, Any]:
    """ansible.posix.json's document: tasks by name, with the result for web1."""
    listed = [{"task": {"name": name}, "hosts": {"web1": one}} for name, one in tasks.items()]
    return {"plays": [{"tasks": listed}]}


FILE = {
    "changed": True,
    "diff": [{"before": "a\nold\n", "after": "a\nnew\n", "before_header": "/etc/x"}],
}


def test_drift_names_the_file_and_shows_what_differs() -> None:
    quiet = {"changed": False, "dest": "/etc/y"}
    (check,) = drift.differing(play(x=FILE, y=quiet), "web1")
    assert (check.control, check.title) == ("/etc/x", "x")
    assert check.problem == "differs\n    -old\n    +new"


def test_drift_names_each_of_many_files() -> None:
    files = [{"path": path} for path in ("/etc/a", "/etc/b", "/etc/c")]
    answer = {
        "changed": True,
        "paths": ["/etc/b", "/etc/c"],
        "invocation": {"module_args": {"files": files}},
        "diff": [
            {"before_header": "/etc/b", "before": "old\n", "after": "new\n"},
            {"before_header": "/etc/c", "before": "x\n", "after": "y\n"},
        ],
    }
    told = play(units=answer)
    assert [(check.control, check.problem) for check in drift.differing(told, "web1")] == [
        ("/etc/b", "differs\n    -old\n    +new"),
        ("/etc/c", "differs\n    -x\n    +y"),
    ]
    assert list(roles.named(told, "web1")) == ["/etc/a", "/etc/b", "/etc/c"]
    # Where no difference is to be shown, the file is named all the same.
    (check,) = drift.differing(play(x={**answer, "paths": ["/etc/b"], "diff": []}), "web1")
    assert (check.control, check.problem) == ("/etc/b", "differs")


def test_drift_leaves_the_files_of_another_site_to_its_own_audit() -> None:
    of_another_site = drift.of_another_site
    for path in (
        "/etc/nginx/conf.d/shop.conf",
        "/etc/sudoers.d/shop-deploy",
        "/usr/local/sbin/shop-unit",
        "/etc/systemd/system/shop-web@.socket",
        "/etc/systemd/system/slipway-shop.slice",
    ):
        assert of_another_site(path, {"shop"}), path
        assert not of_another_site(path, {"sho", "op"}), path
        assert not of_another_site(path, set()), path
    assert not of_another_site("/etc/systemd/system/slipway-shopping.slice", {"shop"})


def test_drift_without_a_file_is_named_by_its_task_and_a_loop_by_its_rounds() -> None:
    stopped = {"changed": True, "status": {}}
    mode = {
        "changed": True,
        "path": "/etc/z",
        "diff": {"before": {"mode": 1}, "after": {"mode": 2}},
    }
    told = play(
        stopped=stopped, loop={"changed": True, "results": [FILE, mode, {"changed": False}]}
    )
    found = list(drift.differing(told, "web1"))
    assert [check.control for check in found] == ["stopped", "/etc/x", "/etc/z"]
    assert '-"mode": 1' in (found[2].problem or "")
    assert list(roles.named(told, "web1")) == ["/etc/x", "/etc/z"]


def test_what_a_task_hides_stays_hidden() -> None:
    hidden = {"changed": True, "censored": "the output has been hidden", "diff": FILE["diff"]}
    (check,) = drift.differing(play(secret=hidden), "web1")
    assert check.problem == drift.UNTOLD


def test_a_long_difference_is_cut() -> None:
    after = "".join(f"{line}\n" for line in range(99))
    long = {"changed": True, "path": "/etc/x", "diff": {"before": "", "after": after}}
    (check,) = drift.differing(play(long=long), "web1")
    assert (check.problem or "").endswith("and 87 lines more")


def test_a_playbook_that_stops_is_no_host_without_drift() -> None:
    with pytest.raises(NoAnswer, match="stops at `x`: no such group"):
        list(drift.differing(play(x={"failed": True, "msg": "no such group"}), "web1"))
