"""What people and scripts get to read."""

import json
import re

import pytest

from deploy.console import Console, size
from deploy.errors import BackedOut


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_900, "999.9 kB"),
        (41_300_000, "41.3 MB"),
        (2.5e9, "2.5 GB"),
        (1.2e12, "1.2 TB"),
        (4.5e15, "4500.0 TB"),
    ],
)
def test_sizes_are_in_powers_of_a_thousand(count: float, told: str) -> None:
    assert size(count) == told


def test_for_scripts_a_failure_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(as_json=True)
    console.note("nobody reads this")
    console.failure(BackedOut("It [bold]failed[/bold].", ["line one", "line two"]))
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == {
        "error": {
            "kind": "backed out",
            "message": "It [bold]failed[/bold].",
            "detail": ["line one", "line two"],
        }
    }


def test_for_people_a_failure_is_its_sentence_below_its_evidence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sentence = "Release 20260801T120000-0123456 [x] was not switched to: / answered 500. " * 2
    Console().failure(BackedOut(sentence.strip(), ["ValueError: [red]"]))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["  ValueError: [red]", f"backed out: {sentence.strip()}"]


def test_for_a_file_or_a_pipe_the_same_is_written_without_colour(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def tell() -> str:
        console = Console()
        console.event({"phase": "push", "state": "done", "seconds": 1.25, "bytes": 1500})
        console.note("asks [/] [bold]")
        console.result("It is [live]: https://x/", {})
        return "".join(capsys.readouterr())

    plain = tell()
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = tell()
    assert "\x1b[" in coloured
    assert plain == re.sub(r"\x1b\[[0-9;]*m", "", coloured)


def test_phases_are_measured_also_when_they_fail(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    with console.phase("push") as pushing:
        pushing.bytes = 1500
    with pytest.raises(ZeroDivisionError), console.phase("build"):
        raise ZeroDivisionError
    console.event({"phase": "gate", "state": "started"})
    console.event({"phase": "gate", "note": "asks [/]"})
    console.event({"phase": "gate", "state": "done", "seconds": 1.25, "bytes": 0})
    console.event({"heartbeat": True})
    told = capsys.readouterr().err
    assert [(phase.name, phase.bytes) for phase in console.phases] == [
        ("push", 1500),
        ("build", 0),
        ("gate", 0),
    ]
    words = [line.split() for line in told.splitlines()]
    assert [line[0] for line in words] == ["done", "failed", "asks", "done"]
    assert words[0][-3:] == ["push", "1.5", "kB"]
    assert words[3][1:] == ["1.25", "s", "gate"]
