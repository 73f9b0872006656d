"""When an instance may be stopped that visitors are not sent to any more."""

from pathlib import Path

import pytest

from deploy.host import retiring
from deploy.host.layout import Layout


@pytest.mark.parametrize(
    ("lengths", "pauses"),
    [([0, 0], 1), ([2, 1, 0, 0], 3), ([0, 1, 0, 0], 3), ([1] * 5, 5)],
    ids=["nobody waits", "some wait", "one came between two looks", "it does not end"],
)
def test_a_queue_has_to_be_empty_twice_in_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lengths: list[int], pauses: int
) -> None:
    clock = [0.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    left = iter(lengths)
    monkeypatch.setattr(retiring, "queue_length", lambda path: next(left))
    monkeypatch.setattr("deploy.host.retiring.time.sleep", sleep)
    monkeypatch.setattr("deploy.host.retiring.time.monotonic", lambda: clock[0])
    retiring.drain(Layout(tmp_path), "20261127T010203-abcdef0", 5 * retiring.LOOK_SECONDS)
    assert len(slept) == pauses
    assert next(left, None) is None
