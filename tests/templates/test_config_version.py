"""Config vars reach a process exactly, secrets are made once, and a check writes nothing."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from hypothesis import given
from hypothesis import strategies as st

from tests.templates.role_files import load

config_version = load("app/library/config_version.py")

NAMES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,12}", fullmatch=True)
# Everything that an environment can hold: any Unicode text without NUL.
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)


def read_as_systemd(text: str) -> dict[str, str]:
    """The rules of systemd's parse_env_file_internal() for names and double-quoted values.

    Inside double quotes a backslash takes its meaning from the next character: these four lose the
    backslash, a line end vanishes with it, and before anything else it stays.
    """
    values, position = {}, 0
    while position < len(text):
        equals = text.index("=", position)
        name, position = text[position:equals], equals + 1
        assert text[position] == '"'
        position += 1
        value = ""
        while text[position] != '"':
            if text[position] == "\\":
                position += 1
                if text[position] in '"\\`$':
                    value += text[position]
                elif text[position] != "\n":
                    value += "\\" + text[position]
            else:
                value += text[position]
            position += 1
        assert text[position + 1] == "\n"
        position += 2
        values[name] = value
    return values


@given(st.dictionaries(NAMES, VALUES))
def test_any_text_comes_back_exactly(values: dict[str, str]) -> None:
    assert read_as_systemd(config_version.render(values)) == values


@pytest.mark.parametrize("value", ["$HOME `id` \\ \" '", "a\nb\n", "\\", "\\\n", "ünï ☃", " x "])
def test_the_values_that_are_written_wrong_elsewhere(value: str) -> None:
    assert read_as_systemd(config_version.render({"V": value})) == {"V": value}


def run(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    values: dict[str, Any],
    generate: tuple[str, ...] = ("DJANGO_SECRET_KEY",),
    check: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """What the module answers when Ansible calls it."""
    args = {
        "path": str(folder),
        "values": values,
        "generate": list(generate),
        "_ansible_check_mode": check,
        **options,
    }
    with patch_module_args(args), pytest.raises(SystemExit):
        config_version.main()
    return dict(json.loads(capsys.readouterr().out))


def test_first_and_second_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = run(tmp_path, capsys, {"A": "first"})
    again = run(tmp_path, capsys, {"A": "first"})
    assert (first["changed"], again["changed"]) == (True, False)
    file = tmp_path / "current"
    assert file.readlink().name == f"{first['version']}.env"
    values = read_as_systemd(file.read_text())
    assert values["A"] == "first"
    assert len(values["DJANGO_SECRET_KEY"]) >= 50
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_a_changed_value_makes_a_version_and_keeps_the_old(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = run(tmp_path, capsys, {"A": "first"})["version"]
    before = (tmp_path / f"{old}.env").read_text()
    new = run(tmp_path, capsys, {"A": "second"})["version"]
    assert new != old
    assert (tmp_path / f"{old}.env").read_text() == before
    secrets = [read_as_systemd((tmp_path / f"{v}.env").read_text()) for v in (old, new)]
    assert secrets[0]["DJANGO_SECRET_KEY"] == secrets[1]["DJANGO_SECRET_KEY"]


def test_a_given_secret_is_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, capsys, {"DJANGO_SECRET_KEY": "mine"})
    assert not list(tmp_path.glob("generated.*"))
    assert 'DJANGO_SECRET_KEY="mine"' in (tmp_path / "current").read_text()


def written(folder: Path) -> dict[str, str]:
    return read_as_systemd((folder / "current").read_text())


def test_a_rotation_keeps_the_value_before_and_no_older(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, capsys, {})
    seen = [written(tmp_path)["DJANGO_SECRET_KEY"]]
    for _ in range(2):
        assert run(tmp_path, capsys, {}, rotate=True)["changed"]
        seen.append(written(tmp_path)["DJANGO_SECRET_KEY"])
        assert written(tmp_path)["DJANGO_SECRET_KEY_FALLBACKS"] == seen[-2]
        assert not run(tmp_path, capsys, {})["changed"]
    assert len(set(seen)) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_a_rotated_value_counts_for_so_many_days(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, capsys, {})
    run(tmp_path, capsys, {}, rotate=True)
    fallback = tmp_path / "generated.DJANGO_SECRET_KEY_FALLBACKS"
    thirteen, fifteen = (time.time() - days * 86400 for days in (13, 15))
    os.utime(fallback, (thirteen, thirteen))
    assert not run(tmp_path, capsys, {})["changed"]
    os.utime(fallback, (fifteen, fifteen))
    assert run(tmp_path, capsys, {})["changed"]
    assert "DJANGO_SECRET_KEY_FALLBACKS" not in written(tmp_path)


def test_a_leaked_value_counts_no_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, capsys, {})
    run(tmp_path, capsys, {}, rotate=True)
    run(tmp_path, capsys, {}, rotate=True, fallback_days=0)
    assert "DJANGO_SECRET_KEY_FALLBACKS" not in written(tmp_path)
    # Not at the next run either, which does not know of the leak.
    assert not run(tmp_path, capsys, {})["changed"]


def test_a_check_of_a_rotation_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, capsys, {})
    before = written(tmp_path)
    assert run(tmp_path, capsys, {}, check=True, rotate=True)["changed"]
    assert written(tmp_path) == before


def test_a_check_says_so_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, capsys, {"A": "first"}, check=True)["changed"]
    assert run(tmp_path, capsys, {"A": "first"}, generate=(), check=True)["changed"]
    assert not list(tmp_path.iterdir())


def test_what_no_process_takes_is_named_without_its_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = run(tmp_path, capsys, {"A-B": "hidden", "N": 1, "Z": "hid\0den"})
    assert answer["failed"]
    assert "'A-B' is no name" in answer["msg"]
    assert "N is no text" in answer["msg"]
    assert "Z holds a NUL" in answer["msg"]
    assert "hid" not in answer["msg"]
    assert not list(tmp_path.iterdir())


URL = {"REDIS_URL": "redis://:{secret}@127.128.0.1:6379/0"}


def test_a_template_is_filled_with_a_secret_that_outlives_every_rotation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A release that is bound to an older version still gets in where the secret is asked for."""
    assert run(tmp_path, capsys, {}, templates=URL)["changed"]
    secret = (tmp_path / "generated.REDIS_URL").read_text()
    assert len(secret) >= 50
    url = written(tmp_path)["REDIS_URL"]
    assert url == f"redis://:{secret}@127.128.0.1:6379/0"
    assert not run(tmp_path, capsys, {}, templates=URL)["changed"]
    assert run(tmp_path, capsys, {}, templates=URL, rotate=True)["changed"]
    assert written(tmp_path)["REDIS_URL"] == url
    # Taken from the inventory and put back: the service still has the same password.
    run(tmp_path, capsys, {})
    assert "REDIS_URL" not in written(tmp_path)
    run(tmp_path, capsys, {}, templates=URL)
    assert written(tmp_path)["REDIS_URL"] == url
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_a_given_value_wins_over_a_template_and_the_service_has_its_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, capsys, {"REDIS_URL": "redis://elsewhere"}, templates=URL)
    assert written(tmp_path)["REDIS_URL"] == "redis://elsewhere"
    assert (tmp_path / "generated.REDIS_URL").exists()


def test_a_check_makes_no_secret_for_a_template(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, capsys, {})
    before = sorted(tmp_path.iterdir())
    answer = run(tmp_path, capsys, {}, check=True, templates=URL)
    assert answer["changed"]
    assert "a new REDIS_URL" in answer["diff"]["after"]
    assert sorted(tmp_path.iterdir()) == before
