"""What an image is made from."""

from dataclasses import replace
from pathlib import Path

import pytest

from lab import image
from lab.errors import LabError
from lab.image import Recipe, Repositories

RECIPE = Recipe("trixie", ("python3",), "Types: deb\n", "", (), {})


def test_the_key_names_the_suite_and_follows_every_part() -> None:
    assert RECIPE.key.startswith("trixie-")
    others = [
        replace(RECIPE, packages=("python3", "sudo")),
        replace(RECIPE, sources="Types: deb-src\n"),
        replace(RECIPE, apt='Acquire::http::Proxy "http://proxy:3128";\n'),
        replace(RECIPE, certificates=("PEM",)),
        replace(RECIPE, furniture={"etc/motd": "hello\n"}),
    ]
    assert len({RECIPE.key, *(other.key for other in others)}) == 1 + len(others)


def test_droplets_use_the_mirror_of_the_host() -> None:
    targets = (
        "Debian|http://mirror.example/debian/\n"
        "Debian-Security|http://mirror.example/security/\n"
        "Node Source|https://deb.example/node/\n"
    )
    assert image.parse_repositories(targets) == Repositories(
        "http://mirror.example/debian", "http://mirror.example/security"
    )


def test_without_lists_the_sentence_says_how_to_get_them() -> None:
    with pytest.raises(LabError, match="apt-get update"):
        image.parse_repositories("")


def test_sources_hold_the_suite_its_updates_and_its_security() -> None:
    text = image.sources(
        "bookworm", Repositories("http://mirror.example", "http://security.example")
    )
    assert "Suites: bookworm bookworm-updates\n" in text
    assert "Suites: bookworm-security\n" in text
    assert text.count("Signed-By:") == 2


def test_only_what_reaches_the_archive_is_carried_from_the_hosts_apt() -> None:
    dump = (
        'Acquire "";\n'
        'Acquire::http::Proxy "http://proxy:3128";\n'
        'Acquire::http "";\n'
        'Acquire::Check-Date "false";\n'
        'Dir::Cache::archives "";\n'
        'DPkg::Post-Invoke:: "rm -f /var/cache/apt/archives/*.deb";\n'
    )
    assert image.carried_apt(dump) == (
        'Acquire::http::Proxy "http://proxy:3128";\nAcquire::Check-Date "false";\n'
    )


def test_an_unknown_suite_is_refused_with_those_that_exist() -> None:
    with pytest.raises(LabError, match="trixie, bookworm"):
        image.recipe("sid")


def test_the_build_gets_the_hosts_settings_and_reads_sources_from_its_input() -> None:
    argv = image.mmdebstrap(replace(RECIPE, apt='Acquire::Check-Date "false";\n'), Path("/x"))
    assert '--aptopt=Acquire::Check-Date "false"' in argv
    assert argv[-3:] == ("trixie", "/x", "-")


def test_an_image_without_its_mark_was_never_finished(tmp_path: Path) -> None:
    assert image.built(tmp_path) is None
    (tmp_path / "built").write_text("12\n")
    assert image.built(tmp_path) == 12


def test_downloaded_packages_are_shared_as_links(tmp_path: Path) -> None:
    origin, goal = tmp_path / "a", tmp_path / "b"
    (origin / "partial").mkdir(parents=True)
    (origin / "partial/half.deb").write_text("half")
    (origin / "whole.deb").write_text("whole")
    (origin / "link.deb").symlink_to("/etc/passwd")
    image.share(origin, goal)
    image.share(origin, goal)
    assert [path.name for path in goal.iterdir()] == ["whole.deb"]
    assert (goal / "whole.deb").samefile(origin / "whole.deb")
