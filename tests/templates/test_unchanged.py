"""What a run left is compared with what there is: every difference counts, nothing else does."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from tests.certificates import pair
from tests.templates.role_files import load

host_state = load("unchanged/library/host_state.py")
IGNORED = ["*/ignored", "*.cache"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What stands for /etc, with something of each kind."""
    etc = tmp_path / "etc"
    (etc / "sub" / "ignored").mkdir(parents=True)
    (etc / "a.conf").write_text("a")
    (etc / "sub" / "b.conf").write_text("b")
    (etc / "link").symlink_to("a.conf")
    (tmp_path / "srv" / "releases").mkdir(parents=True)
    return etc


@pytest.fixture
def look(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def call(inputs: str = "1", remember: bool = False, check: bool = False) -> dict[str, Any]:
        args = {
            "record": str(tmp_path / "kept" / "site.json"),
            "inputs": inputs,
            "folders": [str(folder)],
            "ignored": IGNORED,
            "roots": [str(tmp_path / "srv")],
            "certificates": [str(tmp_path / "chain.pem")],
            "remember": remember,
            "_ansible_check_mode": check,
        }
        with patch_module_args(args), pytest.raises(SystemExit):
            host_state.main()
        return dict(json.loads(capsys.readouterr().out))

    return call


def test_without_a_record_nothing_is_the_same(look: Any) -> None:
    assert (look()["same"], look()["since"]) == (False, "")
    look(remember=True, check=True)
    assert look()["same"] is False


def test_what_is_as_it_was_is_the_same(look: Any, folder: Path, tmp_path: Path) -> None:
    look(remember=True)
    found = look()
    assert (found["same"], found["differing"]) == (True, [])
    assert found["count"] > 8
    assert (tmp_path / "kept" / "site.json").stat().st_mode & 0o077 == 0
    # Renewals, caches, and what releases make beside the playbook's folders.
    (folder / "sub" / "ignored" / "new").write_text("")
    (folder / "ld.so.cache").write_text("")
    (tmp_path / "srv" / "maintenance").mkdir()
    assert look()["same"] is True


CHANGES: dict[str, Callable[[Path], object]] = {
    "a.conf": lambda etc: (etc / "a.conf").write_text("x"),
    "sub/b.conf": lambda etc: (etc / "sub" / "b.conf").chmod(0o777),
    "link": lambda etc: (etc / "other").rename(etc / "link"),
    "sub/new": lambda etc: (etc / "sub" / "new").touch(),
    "sub/gone": lambda etc: (etc / "sub" / "gone").unlink(),
    "sub": lambda etc: (etc / "sub").chmod(0o700),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_differs_is_named(look: Any, folder: Path, name: str) -> None:
    (folder / "sub" / "gone").touch()
    look(remember=True)
    (folder / "other").symlink_to("sub")
    if name != "link":
        (folder / "other").unlink()
    CHANGES[name](folder)
    found = look()
    assert (found["same"], found["differing"]) == (False, [str(folder / name)])


def test_rights_of_the_site_s_folders_count(look: Any, tmp_path: Path) -> None:
    look(remember=True)
    (tmp_path / "srv" / "releases").chmod(0o777)
    assert look()["differing"] == [f"rights of {tmp_path / 'srv' / 'releases'}"]


def test_what_the_playbook_is_told_counts(look: Any) -> None:
    look(remember=True)
    assert look(inputs="2")["differing"] == ["what the playbook is told"]


def test_a_certificate_that_should_have_been_renewed_counts(look: Any, tmp_path: Path) -> None:
    file = tmp_path / "chain.pem"
    file.write_text(pair(["a.example"], days_gone=10, days_left=80)[0])
    look(remember=True)
    assert look()["same"] is True
    file.write_text(pair(["a.example"], days_gone=1, days_left=89)[0])
    assert look()["same"] is True
    file.write_text(pair(["a.example"], days_gone=65, days_left=25)[0])
    assert look()["differing"] == [f"certificate {file}"]


def test_it_is_not_believed_for_ever(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    look(remember=True)
    now = host_state.time.time()
    for away in (8 * 86400, -60):
        monkeypatch.setattr(host_state.time, "time", lambda moment=now + away: moment)
        assert look()["differing"] == ["the last whole run is more than 7 days ago"]


@pytest.mark.skipif(os.geteuid() != 0, reason="/etc has files that only root reads")
def test_a_whole_etc_is_read(look: Any, folder: Path) -> None:
    found = dict(host_state.files(["/etc"], []))
    assert "/etc/shadow" in found
    assert len(found) > 100
