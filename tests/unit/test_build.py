"""The pieces of a build that need neither Django nor a network."""

import io
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from deploy import artifact as trees
from deploy import build as module
from deploy import collection, judging, kept
from deploy.artifact import Artifact
from deploy.build import build
from deploy.errors import Refused
from deploy.host import objects
from deploy.revision import Revision, resolve
from deploy.target import Platform, parse
from tests.unit.test_inventory import FACTS
from tests.unit.test_revision import git

TARGET = parse("web1", FACTS, "inventory/staging.yml")
LOCKED = "django==5.2 --hash=sha256:00\n"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"Procfile": "web: w\n"}, r"app/ has no requirements\.txt"),
        ({"requirements.txt": LOCKED, "runtime.txt": "python-3.14"}, "asks for Python 3.14"),
    ],
)
def test_a_project_that_cannot_run_is_refused_before_anything_is_installed(
    tmp_path: Path, files: dict[str, str], said: str
) -> None:
    (tmp_path / "app").mkdir()
    for name, text in {"manage.py": "", **files}.items():
        (tmp_path / "app" / name).write_text(text)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "First")
    noted: list[str] = []
    revision = resolve(tmp_path, "app", None)
    with pytest.raises(Refused, match=said):
        build(tmp_path, revision, TARGET, Platform("3.13", "x86_64"), noted.append)
    assert noted == []


@pytest.mark.parametrize(
    ("procfile", "application", "expected"),
    [
        ("web: gunicorn a.wsgi\nworker: w\n", "", {"web": "gunicorn a.wsgi", "worker": "w"}),
        ("worker: w\n", "a.wsgi:app", {"web": "gunicorn a.wsgi:app", "worker": "w"}),
        (None, "a.wsgi:app", {"web": "gunicorn a.wsgi:app"}),
        ("# web: w\nworker: w\n", "", "app/Procfile has no web process"),
        ("web:\n", "", "has no web process"),
        ("web: uwsgi x.ini\n", "a.wsgi:app", "web runs uwsgi, .* write: web: gunicorn a.wsgi:app"),
    ],
)
def test_the_web_process_is_the_procfiles_or_made_of_the_settings(
    tmp_path: Path, procfile: str | None, application: str, expected: dict[str, str] | str
) -> None:
    if procfile is not None:
        (tmp_path / "Procfile").write_text(procfile)
    facts = {"application": application}
    if isinstance(expected, dict):
        assert module._processes(tmp_path, TARGET, facts) == expected
    else:
        with pytest.raises(Refused, match=expected):
            module._processes(tmp_path, TARGET, facts)


def test_models_ahead_of_their_migrations_can_be_accepted(tmp_path: Path) -> None:
    changes = ["catalog/migrations/0002.py"]
    facts = {**FACTS_OF_PROJECT, "static_root": str(tmp_path / "static"), "changes": changes}
    with pytest.raises(Refused, match="without a migration"):
        module._judge(facts, tmp_path, TARGET)
    target = replace(TARGET, accepted_checks={"makemigrations": "choices only"})
    assert "makemigrations is accepted: choices only" in module._judge(facts, tmp_path, target)


def test_lines_of_the_inventory_count_instead_of_the_procfiles(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("web: bash start.sh\nworker: w")
    own = {"web": "gunicorn a.wsgi", "release": "./manage.py createcachetable"}
    target = replace(TARGET, procfile=own)
    assert module._processes(tmp_path, target, {"application": ""}) == {**own, "worker": "w"}


FACTS_OF_PROJECT = {
    "debug": False,
    "changes": [],
    "conflicts": [],
    "errors": [],
    "warnings": ["models.W042: key"],
    "manifest": "staticfiles.json",
}


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"debug": True}, "DEBUG is on"),
        ({"changes": ["+ Add field isbn"]}, r"\(\+ Add field isbn\); run: manage.py makemig"),
        ({"conflicts": ["catalog: 0002_a, 0002_b"]}, "catalog: 0002_a, 0002_b"),
        ({"errors": ["models.E001: wrong"]}, "models.E001: wrong"),
        ({"warnings": ["security.W004: HSTS"]}, "security.W004: HSTS"),
        ({"static_root": ""}, "STATIC_ROOT is not set"),
        ({"static_root": "/var/www"}, "STATIC_ROOT is /var/www"),
    ],
)
def test_what_django_says_of_the_project_is_judged(
    tmp_path: Path, facts: dict[str, object], said: str
) -> None:
    good = {**FACTS_OF_PROJECT, "static_root": str(tmp_path / "staticfiles")}
    assert module._judge(good, tmp_path, TARGET) == ("models.W042: key",)
    with pytest.raises(Refused, match=said):
        module._judge({**good, **facts}, tmp_path, TARGET)


def test_all_findings_come_at_once(tmp_path: Path) -> None:
    facts = {**FACTS_OF_PROJECT, "static_root": "", "debug": True, "errors": ["x.E1: no"]}
    with pytest.raises(Refused) as refused:
        module._judge(facts, tmp_path, TARGET)
    assert "DEBUG" in refused.value.message
    assert [line[:11] for line in refused.value.detail] == ["STATIC_ROOT", "x.E1: no"]


def test_the_ways_out_of_insecure_settings_are_told_once(tmp_path: Path) -> None:
    insecure = ["security.W004: HSTS", "models.W042: key", "security.W008: redirect"]
    facts = {**FACTS_OF_PROJECT, "static_root": str(tmp_path / "static"), "warnings": insecure}
    with pytest.raises(Refused) as refused:
        module._judge(facts, tmp_path, TARGET)
    assert refused.value.message.endswith("security.W004: HSTS")
    assert refused.value.detail == ("security.W008: redirect", judging.SECURITY_ADVICE)


def test_what_the_inventory_accepts_passes_with_its_reason(tmp_path: Path) -> None:
    warnings = ["security.W004: HSTS", "security.W008: redirect"]
    facts = {**FACTS_OF_PROJECT, "static_root": str(tmp_path / "static"), "warnings": warnings}
    accepted = {"security.W008": "Nginx leads to https"}
    target = replace(TARGET, accepted_checks=accepted)
    with pytest.raises(Refused) as refused:
        module._judge(facts, tmp_path, target)
    assert refused.value.message.endswith("security.W004: HSTS")
    target = replace(TARGET, accepted_checks={**accepted, "security.W004": "no subdomains yet"})
    assert module._judge(facts, tmp_path, target)[:2] == (
        "security.W004 is accepted: no subdomains yet",
        "security.W008 is accepted: Nginx leads to https",
    )


@pytest.mark.parametrize("movable", [True, False])
def test_a_kept_folder_is_whole_or_not_there(tmp_path: Path, movable: bool) -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        folder.mkdir(exist_ok=True)
        (folder / "half").touch()
        if len(made) == 1:
            raise Refused("no network")
        (folder / "whole").touch()

    path = tmp_path / "cache" / "kept"
    with pytest.raises(Refused):
        kept.kept(path, make, movable)
    if movable:
        assert list((tmp_path / "cache").iterdir()) == []
    for _ in range(2):
        assert kept.kept(path, make, movable) == path
        assert {"half", "whole"} <= {p.name for p in path.iterdir()}
    assert len(made) == 2
    assert path.stat().st_mode & 0o777 == 0o755


def test_two_sites_that_are_built_at_once_make_a_folder_once(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        folder.mkdir()
        made.append(folder)
        time.sleep(0.2)
        assert folder.is_dir(), "somebody took it away"

    with ThreadPoolExecutor(2) as pool:
        builds = [pool.submit(kept.kept, tmp_path / "venv", make, False) for _ in range(2)]
    assert {build.result() for build in builds} == {tmp_path / "venv"}
    assert made == [tmp_path / "venv"]


def test_only_the_builds_used_last_are_kept(tmp_path: Path) -> None:
    for number in [*range(kept.KEPT_BUILDS), 0, 9]:
        kept.kept(tmp_path / str(number), lambda folder: None)
    there = {"0", "2", "3", "4", "9"}
    assert {p.name for p in tmp_path.iterdir() if not p.name.startswith(".")} == there
    until_there_is(tmp_path, there)


def test_what_a_removal_left_goes_with_the_next_and_takes_nobody_s_place(tmp_path: Path) -> None:
    for number in range(kept.KEPT_BUILDS):
        kept.kept(tmp_path / str(number), lambda folder: None)
    (tmp_path / f"{kept.LEAVING}7.1" / "half").mkdir(parents=True)
    kept.kept(tmp_path / "9", lambda folder: None)
    until_there_is(tmp_path, {"1", "2", "3", "4", "9"})


def until_there_is(folder: Path, names: set[str]) -> None:
    """Nobody waits for a folder to be removed but this."""
    deadline = time.monotonic() + 10
    while {p.name for p in folder.iterdir()} != names:
        assert time.monotonic() < deadline, list(folder.iterdir())
        time.sleep(0.05)


def test_what_is_packed_is_what_the_droplet_takes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "a").mkdir(parents=True)
    (source / "a/text.py").write_text("print()\n")
    (source / "a/text.pyc").write_text("bytecode of another Python")
    (source / "same.py").write_text("print()\n")
    (source / "link.py").symlink_to("a/text.py")
    (source / "manage.py").write_text("#!/usr/bin/env python\n")
    (source / "manage.py").chmod(0o755)
    files = trees.listed_in(source)
    (source / "written.log").write_text("by the project itself, when it was asked")
    tree = trees.tree_of(source, files)
    names = {*tree.values()}
    assert sorted(tree) == ["a/text.py", "link.py", "manage.py", "same.py"]
    assert tree["a/text.py"] == tree["same.py"] == tree["link.py"]
    assert [name for name in names if name.endswith("x")] == [tree["manage.py"]]
    revision = Revision(Path(), "0" * 40, "1" * 40, "app", "Ada", "First")
    artifact = Artifact(revision, source, "d", {}, tree, "", ((source, tree),), (), tmp_path)
    store = tmp_path / "store"
    store.mkdir()
    objects.receive(store, io.BytesIO(b"".join(artifact.pack(names))), names)
    objects.link_tree(store, tree, tmp_path / "laid out")
    assert objects.differing(tree, tmp_path / "laid out") == []


@pytest.mark.parametrize("leads_to", ["/etc/passwd", "../outside.py", "folder", "gone.py"])
def test_a_link_that_would_be_lost_or_leak_is_refused(tmp_path: Path, leads_to: str) -> None:
    (tmp_path / "outside.py").touch()
    (tmp_path / "source/folder").mkdir(parents=True)
    (tmp_path / "source/folder/x.py").touch()
    (tmp_path / "source/link").symlink_to(leads_to)
    with pytest.raises(Refused, match=f"link is a link to {leads_to}"):
        trees.tree_of(tmp_path / "source")


def test_static_files_get_a_smaller_twin_where_it_pays(tmp_path: Path) -> None:
    def twin(name: str, content: bytes) -> Path | None:
        path = tmp_path / name
        path.write_bytes(content)
        return collection.compressed(tmp_path / "cache", path, name)

    assert twin("small.css", b"a {}") is None
    assert twin("photo.webp", b"a" * 9999) is None
    made = twin("big.css", b"a {}\n" * 500)
    assert made
    assert made.read_bytes()[:2] == b"\x1f\x8b"
    assert made.stat().st_size < 500


def test_the_digest_is_of_what_runs_and_not_of_how_it_was_squeezed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in {
        "source/manage.py": "",
        "packages/.tree.json": "{}",
        "sbom/sbom.json": "{}",
        "collected/files/big.123.css": "a {}\n" * 500,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    facts: dict[str, object] = {"manifest": None, "hashed": ["big.123.css"], "migrations": []}
    facts |= {"static_url": "/static/", "processes": {}}
    revision = Revision(Path(), "0" * 40, "1" * 40, "app", "Ada", "First")

    def assembled(cache: str) -> Artifact:
        collected = tmp_path / "collected" / cache
        shutil.copytree(tmp_path / "collected/files", collected / collection.FILES)
        collection.write(collected, ["big.123.css"], None, tmp_path / cache / "gzip")
        return trees.assemble(
            tmp_path / cache,
            revision,
            source=tmp_path / "source",
            app=trees.tree_of(tmp_path / "source"),
            packages=tmp_path / "packages",
            listed=tmp_path / "sbom",
            collection=collection.read(collected),
            facts=facts,
            lock="lock",
            droplet=Platform("3.13", "x86_64"),
        )

    first = assembled("here")
    # Another zlib.
    monkeypatch.setattr("gzip.compress", lambda data, **_: b"\x1f\x8b" + data[:9])
    second = assembled("there")
    assert first.digest == second.digest
    twins = [artifact.manifest["assets"]["big.123.css.gz"] for artifact in (first, second)]
    assert twins[0] != twins[1]
    assert set(twins) <= first.objects | second.objects
