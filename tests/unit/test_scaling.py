"""How many processes run: what is typed, what the release can run, and what the inventory keeps."""

from pathlib import Path

import pytest

from deploy import facts_file, scaling
from deploy.errors import Refused

PROCFILE = {"web": "gunicorn a.wsgi", "worker": "celery -A a worker", "release": "python load.py"}


def test_pairs_are_numbers_of_processes() -> None:
    assert scaling.counts(["web=4", "worker=0"]) == {"web": 4, "worker": 0}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "Say how many of what"),
        (["worker"], "write TYPE=NUMBER"),
        (["=2"], "write TYPE=NUMBER"),
        (["worker=-1"], "write TYPE=NUMBER"),
        (["worker=1.5"], "write TYPE=NUMBER"),
        (["worker=two"], "write TYPE=NUMBER"),
        (["worker=101"], "100 at most"),
        (["web=0"], "invoke maintenance.on"),
    ],
)
def test_what_is_no_number_of_processes_is_refused(words: list[str], told: str) -> None:
    with pytest.raises(Refused, match=told):
        scaling.counts(words)


def test_only_what_the_procfile_names_can_run() -> None:
    scaling.check({"web": 2, "worker": 3, "gone": 0}, PROCFILE)
    with pytest.raises(Refused, match="has no clock, only: web, worker"):
        scaling.check({"clock": 1}, PROCFILE)
    with pytest.raises(Refused, match="has no release"):
        scaling.check({"release": 1}, PROCFILE)


@pytest.mark.parametrize("flags", ["--workers 3", "--workers=3", "-w 3", "-w3", "-w $COUNT"])
def test_a_web_line_that_sets_its_number_itself_is_told(flags: str) -> None:
    procfile = {**PROCFILE, "web": f"gunicorn a.wsgi {flags} --threads 2"}
    with pytest.raises(Refused, match=r"web line says -.*Take it out"):
        scaling.check({"web": 4}, procfile)
    scaling.check({"worker": 4}, procfile)


@pytest.mark.parametrize("flags", ["--worker-class gthread", "--max-requests 5", "--log-level x"])
def test_other_flags_are_none_of_its_business(flags: str) -> None:
    scaling.check({"web": 4}, {"web": f"gunicorn a.wsgi {flags}"})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("---\nenvironment_name: staging\n", "site_processes:\n  worker: 2\n"),
        ("---\nsite_processes: {web: 3, worker: 1}\n", "site_processes: {web: 3, worker: 2}\n"),
        (
            "---\nsite_processes:\n  web: 3  # measured\n",
            "site_processes:\n  web: 3  # measured\n  worker: 2\n",
        ),
    ],
)
def test_the_inventory_keeps_the_numbers(tmp_path: Path, before: str, after: str) -> None:
    path = facts_file.file_of(tmp_path, "staging")
    path.parent.mkdir(parents=True)
    path.write_text(before)
    assert scaling.changed(path, {"worker": 2}).endswith(after)
