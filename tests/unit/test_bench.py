"""Benchmarks: who runs when, what the figures say, and the page made of them."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import page, pictures, results, running
from benchmarks.delay import Delay
from benchmarks.model import (
    OURS,
    Benchmark,
    Contestant,
    Failed,
    Figures,
    Machine,
    Measure,
    Result,
    Run,
    Target,
    median,
    medians_of,
    ratio,
    spread,
)
from benchmarks.registry import BENCHMARKS
from benchmarks.suites import switching
from tests.lab.faults.loader import Record

ROOT = Path(__file__).parents[2]
SECONDS = Measure("seconds", "seconds")
MACHINE = Machine("Some processor", 2, 25, "6.18.44", (0.1, 1.9))
BENCHMARK = Benchmark(
    name="deploy-thing",
    title="Deploy, a thing",
    about="Something is deployed.",
    contestants=(Contestant(OURS, "ours"), Contestant("cap", "theirs"), Contestant("fuji", "new")),
    measures=(SECONDS, Measure("failed", "requests", digits=0)),
    targets=(
        Target("At most 1 s", median(OURS, "seconds"), at_most=1.0, unit="s"),
        Target("Twice as fast", ratio(OURS, ["cap", "fuji"], "seconds"), at_least=2.0),
        Target("At most 9 s for fuji", median("fuji", "seconds"), at_most=9.0, unit="s"),
    ),
    open=lambda ground: nullcontext({}),
)
RESULT = Result(
    benchmark="deploy-thing",
    measured_at="2026-11-26T10:00:00+00:00",
    minutes=3.5,
    revision="abc1234",
    machine=MACHINE,
    runs={
        OURS: [{"seconds": 2.0, "failed": 0}, {"seconds": 1.0, "failed": 0}, {"seconds": 1.5}],
        "cap": [{"seconds": 6.0}, {"seconds": 5.0}, {"seconds": 7.0}],
    },
    absent={"fuji": "it needs a Python that cannot be had."},
)


def test_contestants_take_turns_after_a_round_that_warms_up() -> None:
    assert list(running.turns(["a", "b", "c"], 2)) == [
        (0, "a"), (0, "b"), (0, "c"), (1, "a"), (1, "b"), (1, "c"), (2, "a"), (2, "b"), (2, "c"),
    ]  # fmt: skip


def test_the_round_that_warms_up_does_not_count() -> None:
    order: list[str] = []

    def contestant(name: str) -> Run:
        def run() -> Figures:
            order.append(name)
            return {"seconds": float(len(order))}

        return run

    found, gone = running.measure(
        {"a": contestant("a"), "b": contestant("b")}, 2, lambda text: None
    )
    assert order == ["a", "b"] * 3
    assert found == {
        "a": [{"seconds": 3.0}, {"seconds": 5.0}],
        "b": [{"seconds": 4.0}, {"seconds": 6.0}],
    }
    assert gone == {}


def failing() -> Figures:
    raise Failed("`cap production deploy` ended with 1", ["no such host"])


def test_a_peer_that_gives_up_is_told_of_and_the_others_go_on() -> None:
    told: list[str] = []
    found, gone = running.measure({OURS: lambda: {"seconds": 1.0}, "cap": failing}, 2, told.append)
    assert found == {OURS: [{"seconds": 1.0}] * 2}
    assert gone == {"cap": "`cap production deploy` ended with 1"}
    assert "cap gave up: `cap production deploy` ended with 1" in told


def test_when_we_give_up_there_is_nothing_to_tell() -> None:
    with pytest.raises(Failed, match="ended with 1"):
        running.measure({OURS: failing}, 2, lambda text: None)


def test_medians_are_of_what_every_run_has() -> None:
    assert medians_of(RESULT.runs[OURS]) == {"seconds": 1.5}
    assert medians_of([]) == {}


def test_noise_is_the_distance_between_the_ends_as_a_share_of_the_median() -> None:
    assert spread(RESULT.runs[OURS], "seconds") == pytest.approx(1 / 1.5)
    assert spread([{"failed": 0}, {"failed": 0}], "failed") is None
    assert spread([], "failed") is None


MEDIANS: Mapping[str, Figures] = {OURS: {"seconds": 2.0}, "cap": {"seconds": 5.0}}


@pytest.mark.parametrize(
    ("target", "value", "met"),
    [
        (Target("", median(OURS, "seconds"), at_most=2.0), 2.0, True),
        (Target("", median(OURS, "seconds"), at_most=1.9), 2.0, False),
        (Target("", median(OURS, "seconds"), at_least=2.1), 2.0, False),
        (Target("", ratio(OURS, ["cap", "gone"], "seconds"), at_least=2.5), 2.5, True),
        (Target("", ratio(OURS, ["cap"], "seconds"), at_least=2.6), 2.5, False),
        (Target("", ratio(OURS, ["gone"], "seconds"), at_least=2.0), None, None),
        (Target("", median("gone", "seconds"), at_most=2.0), None, None),
        (Target("", median(OURS, "p99"), at_most=2.0), None, None),
    ],
)
def test_a_target_is_judged_by_the_medians(
    target: Target, value: float | None, met: bool | None
) -> None:
    verdict = target.judge(MEDIANS)
    assert (verdict.value, verdict.met) == (value, met)


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    results.write(RESULT, tmp_path)
    assert results.read("deploy-thing", tmp_path) == RESULT
    assert results.read("another", tmp_path) is None


def test_the_page_tells_figures_targets_noise_and_who_is_missing() -> None:
    text = page.page([(BENCHMARK, RESULT)])
    assert "| **slipway**: ours | 1.50 | 1.00 to 2.00 | 0 | 0 to 0 |  |" in text
    assert "| cap: theirs | 6.00 | 5.00 to 7.00 |  |  | 4.0 |" in text
    assert "fuji was not measured: it needs a Python that cannot be had." in text
    assert "* At most 1 s: 1.50 s, **missed**." in text
    assert "* Twice as fast: 4.00, met." in text
    assert "* At most 9 s for fuji: not measured." in text
    assert (
        "3 runs of each on 2026-11-26, in 3.5 minutes; noise: slipway 67%, cap 33%. Load 0.1 before"
        in text
    )
    assert "1 of 3 met" in text


def test_the_page_says_when_the_machine_was_busy() -> None:
    busy = replace(RESULT, machine=replace(MACHINE, load=(2.5, 2.5)))
    assert "The machine was busy" in page.page([(BENCHMARK, busy)])
    assert "The machine was busy" not in page.page([(BENCHMARK, RESULT)])


def test_the_page_is_written_for_every_reader_the_same(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        page.write([(BENCHMARK, RESULT)], tmp_path / folder)
    for name in ("benchmarks.md", "images/benchmarks/deploy-thing.svg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_picture_runs_nothing_and_has_no_date() -> None:
    drawn = pictures.draw(BENCHMARK, RESULT)
    assert "<script" not in drawn
    assert "<!--" not in drawn
    assert "prefers-color-scheme: dark" in drawn or "prefers-color-scheme:dark" in drawn
    assert ">slipway<" in drawn
    assert ">6.00<" in drawn


def test_benchmarks_have_names_of_their_own_and_ours_among_the_contestants() -> None:
    names = [one.name for one in BENCHMARKS]
    assert len(set(names)) == len(names)
    for one in BENCHMARKS:
        assert re.fullmatch(r"[a-z0-9-]+", one.name)
        assert OURS in [contestant.name for contestant in one.contestants], one.name
        assert one.repeats >= 5, one.name


def test_the_page_of_this_tree_is_what_its_results_say() -> None:
    measured = [(one, found) for one in BENCHMARKS if (found := results.read(one.name))]
    assert (ROOT / "docs" / "benchmarks.md").read_text() == page.page(measured)
    for one, found in measured:
        picture = ROOT / "docs" / page.PICTURES / f"{one.name}.svg"
        assert picture.read_text() == pictures.draw(one, found)


def test_a_link_leads_to_the_heading_as_github_names_it() -> None:
    assert page.anchor("site.yml, nothing to do") == "siteyml-nothing-to-do"


def test_every_result_belongs_to_a_benchmark() -> None:
    known = {one.name for one in BENCHMARKS}
    assert {path.stem for path in results.FOLDER.glob("*.json")} <= known


def invoke(*words: str) -> "subprocess.CompletedProcess[str]":
    argv = (str(Path(sys.executable).with_name("invoke")), "bench", *words)
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_the_list_names_them_all() -> None:
    done = invoke("--list", "--json")
    assert done.returncode == 0, done.stderr
    assert [one["name"] for one in json.loads(done.stdout)] == [one.name for one in BENCHMARKS]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nothing",), "refused: No benchmark nothing; there are: "),
        (("--runs", "-1"), "refused: --runs -1 is no number of runs. Say how often"),
    ],
)
def test_wrong_words_are_one_sentence(words: tuple[str, ...], told: str) -> None:
    done = invoke(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(told)
    assert len(done.stderr.splitlines()) == 1


async def echo_from_far(rtt: float, sent: bytes) -> tuple[bytes, float]:
    """What an echo server, that far away, gives back, and the seconds until it has."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(-1))
        writer.close()

    there = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = there.sockets[0].getsockname()[1]
    async with there, await Delay("127.0.0.1", port, rtt).serve() as proxy:
        clock = asyncio.get_running_loop()
        begun = clock.time()
        near = proxy.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", near)
        writer.write(sent)
        writer.write_eof()
        got = await reader.read(-1)
        writer.close()
        return got, clock.time() - begun


def test_a_far_droplet_answers_with_the_same_bytes_two_round_trips_later() -> None:
    """One for the handshake, one for the question."""
    sent = bytes(range(256)) * 4096
    got, seconds = asyncio.run(echo_from_far(0.05, sent))
    assert got == sent
    assert seconds >= 0.1


def record(seconds: float, status: int = 200) -> Record:
    return Record(0.0, 0.0, seconds, status, "r1", "", "", "", "/")


def test_what_visitors_had() -> None:
    records = [record(0.01)] * 98 + [record(0.5), record(2.0, status=502)]
    assert switching.figures(records) == {
        "failed": 1,
        "p99": 2000.0,
        "slowest": 2000.0,
        "requests": 100,
    }
