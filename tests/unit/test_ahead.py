"""A build begins before the lock is held where the platform can be guessed, and only if it may."""

import json
import time
from pathlib import Path

import pytest

from deploy.ahead import Ahead
from deploy.revision import Revision
from tests.unit.test_stages import TARGET

SECONDS = 5


@pytest.mark.parametrize("begin", [True, False])
def test_nothing_is_built_before_it_may_be(tmp_path: Path, begin: bool) -> None:
    kept = tmp_path / ".slipway" / "platforms" / f"{TARGET.host}.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(json.dumps({"python": "3.13", "machine": "x86_64"}))
    # There is no such commit: the build gets as far as the folder that it would be written to.
    Ahead(tmp_path, TARGET, Revision(tmp_path, "1" * 40, "2" * 40, "app", "", ""), begin)
    begun = tmp_path / ".slipway" / "cache" / "source"
    deadline = time.monotonic() + (SECONDS if begin else 0.3)
    while not begun.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert begun.exists() is begin
