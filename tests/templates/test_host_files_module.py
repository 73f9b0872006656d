"""Files and folders in one call: whole, with their rights, and nothing in a check."""

from __future__ import annotations

import grp
import json
import os
import pwd
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from tests.templates.role_files import load

host_files = load("files/library/host_files.py")

ME = {"owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Any:
    """What the module answers when Ansible calls it with these files."""

    def run(*files: dict[str, Any], check: bool = False, diff: bool = True) -> dict[str, Any]:
        wanted = [{**ME, **file, "path": str(file["path"])} for file in files]
        args = {"files": wanted, "_ansible_check_mode": check, "_ansible_diff": diff}
        with patch_module_args(args), pytest.raises(SystemExit):
            host_files.main()
        return dict(json.loads(capsys.readouterr().out))

    return run


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_and_a_file_in_it_and_a_second_run(tmp_path: Path, call: Any) -> None:
    folder, file = tmp_path / "unit.d", tmp_path / "unit.d" / "a.conf"
    files = ({"path": folder}, {"path": file, "content": "ünï\n", "mode": "0600"})
    first = call(*files)
    assert first["paths"] == [str(folder), str(file)]
    assert file.read_text() == "ünï\n"
    assert (mode(folder), mode(file)) == (0o755, 0o600)
    again = call(*files)
    assert (again["changed"], again["paths"], again["diff"]) == (False, [], [])
    assert sorted(folder.iterdir()) == [file]


def test_a_check_says_what_it_would_do_and_does_nothing(tmp_path: Path, call: Any) -> None:
    folder = tmp_path / "not" / "there"
    done = call(
        {"path": folder},
        {"path": folder / "a.conf", "content": "new\n", "owner": "no-such-user"},
        check=True,
    )
    assert done["paths"] == [str(folder), str(folder / "a.conf")]
    assert "new" in done["diff"][1]["after"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("before", "wanted", "shown"),
    [
        (0o644, {"content": "old\n", "mode": "0600"}, ("mode 0644", "mode 0600")),
        (0o644, {"content": "new\n"}, ("old", "new")),
    ],
)
def test_what_differs_is_changed_and_shown(
    tmp_path: Path, call: Any, before: int, wanted: dict[str, str], shown: tuple[str, str]
) -> None:
    file = tmp_path / "a.conf"
    file.write_text("old\n")
    file.chmod(before)
    (difference,) = call({"path": file, **wanted})["diff"]
    assert shown[0] in difference["before"]
    assert shown[1] in difference["after"]
    assert file.read_text() == wanted["content"]
    assert mode(file) == int(wanted.get("mode", "0644"), 8)


def test_what_is_not_valid_stays_as_it_was(tmp_path: Path, call: Any) -> None:
    file = tmp_path / "a.conf"
    file.write_text("old\n")
    done = call({"path": file, "content": "new\n", "validate": "grep -q old %s"})
    assert done["failed"]
    assert done["msg"].startswith(f"{file} is not valid and stays as it was:")
    assert file.read_text() == "old\n"
    assert call({"path": file, "content": "older\n", "validate": "grep -q old %s"})["changed"]
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_is_no_way_elsewhere(tmp_path: Path, call: Any) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (tmp_path / "folder").symlink_to(elsewhere)
    done = call({"path": tmp_path / "folder", "mode": "0777"})
    assert done["failed"]
    assert "is no folder" in done["msg"]
    assert mode(elsewhere) == 0o700

    (elsewhere / "secret").write_text("theirs\n")
    (tmp_path / "file").symlink_to(elsewhere / "secret")
    assert call({"path": tmp_path / "file", "content": "ours\n"})["changed"]
    assert (tmp_path / "file").read_text() == "ours\n"
    assert (elsewhere / "secret").read_text() == "theirs\n"


def test_what_cannot_be_written_is_said_with_what_was_done_before(
    tmp_path: Path, call: Any
) -> None:
    done = call(
        {"path": tmp_path / "a", "content": "a"}, {"path": tmp_path / "b" / "c", "content": "c"}
    )
    assert done["failed"]
    assert "No such file or directory" in done["msg"]
    assert done["paths"] == [str(tmp_path / "a")]
    assert "no-such-user" in call({"path": tmp_path / "d", "owner": "no-such-user"})["msg"]
    assert not (tmp_path / "d").exists()


def test_settings_change_lines_of_what_is_there(tmp_path: Path, call: Any) -> None:
    file = tmp_path / "login.defs"
    file.write_text("# UMASK 022\nUMASK 022\nOTHER yes\n")
    wanted = {"path": file, "settings": {"UMASK": "027"}, "separator": " "}
    assert call(wanted)["changed"]
    assert file.read_text() == "# UMASK 022\nUMASK 027\nOTHER yes\n"
    assert not call(wanted)["changed"]


def test_a_difference_is_told_where_it_may_be(tmp_path: Path, call: Any) -> None:
    done = call({"path": tmp_path / "a.conf", "content": "canary\n"}, diff=False)
    assert done["changed"]
    assert "canary" not in str(done)


def test_an_answer_repeats_no_text(tmp_path: Path, call: Any) -> None:
    file = {"path": tmp_path / "a.conf", "content": "canary\n"}
    done = call(file)
    assert "canary" not in str(done["invocation"])
    assert done["invocation"]["module_args"]["files"][0]["path"] == str(tmp_path / "a.conf")
    failed = call({**file, "content": "canary 2\n", "validate": "false"})
    assert failed["failed"]
    assert "canary" not in str(failed)
