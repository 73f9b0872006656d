"""When an instance may be stopped that visitors are not sent to any more."""

from pathlib import Path

import pytest

from deploy.host import retiring
from deploy.host.layout import Layout


@pytest.mark.parametrize(
    ("lengths", "pauses", "left_before"),
    [
        ([0, 0], 1, None),
        ([2, 1, 0, 0], 3, None),
        ([0, 1, 0, 0], 3, None),
        ([1] * 5, 5, None),
        ([0, 0], 1, 0.5),
        ([0], 0, 5.0),
        ([1, 0], 1, 5.0),
    ],
    ids=[
        *("nobody waits", "some wait", "one came between two looks", "it does not end"),
        *("visitors left a moment ago", "visitors left long ago", "one of then still waits"),
    ],
)
def test_a_queue_has_to_be_empty_twice_in_a_row_unless_visitors_left_long_ago(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lengths: list[int],
    pauses: int,
    left_before: float | None,
) -> None:
    clock = [0.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    waiting = iter(lengths)
    monkeypatch.setattr(retiring, "queue_length", lambda path: next(waiting))
    monkeypatch.setattr("deploy.host.retiring.time.sleep", sleep)
    monkeypatch.setattr("deploy.host.retiring.time.monotonic", lambda: clock[0])
    left = None if left_before is None else clock[0] - left_before
    retiring.drain(Layout(tmp_path), "20261127T010203-abcdef0", 5 * retiring.LOOK_SECONDS, left)
    assert len(slept) == pauses
    assert next(waiting, None) is None


def test_the_tool_that_runs_stays_also_when_it_is_run_through_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path)
    for folder in ("releases", "venvs", "objects", "static", "tools/old", "tools/new/deploy/host"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "tool").symlink_to("tools/new")
    monkeypatch.setattr(retiring, "__file__", str(tmp_path / "tool/deploy/host/retiring.py"))
    retiring.sweep(layout)
    assert [tool.name for tool in layout.tools.iterdir()] == ["new"]
