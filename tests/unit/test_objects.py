"""The object store takes what was asked for, and nothing else."""

import errno
import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from deploy.host import objects
from deploy.host.errors import BackedOut, Refused
from deploy.host.wire import LENGTH_BYTES, Payload, Wire

# Random enough that gzip does not squeeze it into one read.
CONTENTS = [hashlib.shake_256(bytes([n])).digest(60_000) for n in range(4)]


def name_of(content: bytes, executable: bool = False) -> str:
    return hashlib.sha256(content).hexdigest() + ("x" if executable else "")


def member(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(content)
    info.linkname = "/etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
    return info


def pack(members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return raw.getvalue()


def pack_of(*contents: bytes) -> bytes:
    return pack((member(name_of(content), content), content) for content in contents)


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No power cut here: a sync would wait for whatever else this machine writes."""
    monkeypatch.setattr(os, "sync", lambda: None)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "objects"
    folder.mkdir()
    return folder


def put(store: Path, *contents: bytes, executable: bool = False) -> list[str]:
    names = [name_of(content, executable) for content in contents]
    packed = pack((member(n, c), c) for n, c in zip(names, contents, strict=True))
    objects.receive(store, io.BytesIO(packed), names)
    return names


def test_what_was_asked_for_is_stored_read_only_under_its_digest(store: Path) -> None:
    (plain,) = put(store, b"one")
    (program,) = put(store, b"#!/bin/sh\n", executable=True)
    assert objects.absent(store, [plain, program, "0" * 64]) == ["0" * 64]
    assert objects.object_path(store, plain).read_bytes() == b"one"
    assert objects.object_path(store, plain).stat().st_mode & 0o777 == 0o444
    assert objects.object_path(store, program).stat().st_mode & 0o777 == 0o555
    assert everything(store / objects.INCOMING) == []


GOOD = name_of(b"good")
HOSTILE = {
    "a member nobody asked for": member("0" * 64, b"good"),
    "a path out of the store": member(f"../{GOOD}", b"good"),
    "an absolute path": member(f"/tmp/{GOOD}", b"good"),
    "a symbolic link": member(GOOD, kind=tarfile.SYMTYPE),
    "a hard link": member(GOOD, kind=tarfile.LNKTYPE),
    "a device": member(GOOD, kind=tarfile.CHRTYPE),
    "a pipe": member(GOOD, kind=tarfile.FIFOTYPE),
    "a folder": member(GOOD, kind=tarfile.DIRTYPE),
    "another content": member(GOOD, b"evil"),
}


@pytest.mark.parametrize("info", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_pack_that_holds_anything_else_is_refused(store: Path, info: tarfile.TarInfo) -> None:
    content = b"evil" if info is HOSTILE["another content"] else b"good"
    outside = everything(store.parent)
    with pytest.raises(Refused):
        objects.receive(store, io.BytesIO(pack([(info, content)])), [GOOD])
    assert everything(store.parent) == outside
    assert objects.absent(store, [GOOD]) == [GOOD]


def test_a_pack_that_lacks_something_is_refused(store: Path) -> None:
    with pytest.raises(Refused, match="lacks 1"):
        objects.receive(store, io.BytesIO(pack_of(b"one")), [name_of(b"one"), name_of(b"two")])


@pytest.mark.parametrize("cut", [0, 5, 40_000, 180_000])
def test_a_damaged_pack_is_refused_and_what_is_whole_in_it_is_kept(store: Path, cut: int) -> None:
    names = [name_of(content) for content in CONTENTS]
    with pytest.raises(Refused, match="damaged|lacks"):
        objects.receive(store, io.BytesIO(pack_of(*CONTENTS)[:cut]), names)
    objects.adopt(store)
    for name in set(names) - set(objects.absent(store, names)):
        assert objects.digest(objects.object_path(store, name)) == name
    put(store, *CONTENTS)
    assert objects.absent(store, names) == []


@pytest.mark.parametrize("offset", [3, 20, 30_000, 120_000, 200_000])
def test_a_flipped_bit_never_reaches_the_store(store: Path, offset: int) -> None:
    names = [name_of(content) for content in CONTENTS]
    packed = bytearray(pack_of(*CONTENTS))
    packed[offset] ^= 0x10
    try:
        objects.receive(store, io.BytesIO(bytes(packed)), names)
    except Refused:
        objects.adopt(store)
    for name in set(names) - set(objects.absent(store, names)):
        assert objects.digest(objects.object_path(store, name)) == name


def test_a_push_cut_off_in_the_middle_goes_on_where_it_was(store: Path) -> None:
    names = [name_of(content) for content in CONTENTS]
    whole = pack_of(*CONTENTS)
    reading, writing = os.pipe()
    sent = whole[: len(whole) * 5 // 8]
    pid = os.fork()
    if pid == 0:  # a controller that dies in the third object
        os.close(reading)
        os.write(writing, len(whole).to_bytes(LENGTH_BYTES, "big") + sent[:100])
        with open(writing, "wb") as pipe:  # noqa: PTH123
            pipe.write(sent[100:])
        os._exit(0)
    os.close(writing)
    payload = io.BufferedReader(Payload(Wire(reading)))
    with pytest.raises(BackedOut, match="Run: invoke deploy"):
        objects.receive(store, payload, names)
    os.waitpid(pid, 0)
    os.close(reading)
    objects.adopt(store)
    assert objects.absent(store, names) == sorted(names[2:])
    assert everything(store / objects.INCOMING) == []
    put(store, *CONTENTS[2:])
    assert objects.absent(store, names) == []


def test_a_tree_is_laid_out_as_hard_links_that_keep_their_mode(store: Path, tmp_path: Path) -> None:
    (plain,) = put(store, b"one")
    (program,) = put(store, b"#!/bin/sh\nexit 7\n", executable=True)
    target = tmp_path / "tree"
    objects.link_tree(store, {"a/b/plain": plain, "a/again": plain, "run": program}, target)
    assert (target / "a/b/plain").stat().st_ino == (target / "a/again").stat().st_ino
    assert not (target / "a/again").stat().st_mode & 0o222
    assert subprocess.run((target / "run",)).returncode == 7


@pytest.mark.parametrize(
    "path", ["../out", "a/../../out", "/out", "a//b", "./a", "a/.", "", "a\0b", "a/.."]
)
def test_a_path_that_leaves_the_tree_is_refused(store: Path, tmp_path: Path, path: str) -> None:
    (name,) = put(store, b"one")
    before = everything(tmp_path)
    with pytest.raises(Refused, match="leaves its folder"):
        objects.link_tree(store, {path: name}, tmp_path / "tree")
    assert everything(tmp_path) == before


def test_beyond_the_limit_of_links_the_file_is_copied(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (program,) = put(store, b"#!/bin/sh\n", executable=True)

    def full(source: Path, target: Path) -> None:
        raise OSError(errno.EMLINK, os.strerror(errno.EMLINK))

    monkeypatch.setattr(os, "link", full)
    objects.link_tree(store, {"run": program}, tmp_path / "tree")
    assert objects.differing({"run": program}, tmp_path / "tree") == []
    assert os.access(tmp_path / "tree/run", os.X_OK)


def test_any_other_problem_with_a_link_is_told(store: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        objects.link_tree(store, {"a": "0" * 64}, tmp_path / "tree")


def test_an_object_that_was_written_to_is_asked_for_again(store: Path, tmp_path: Path) -> None:
    (name,) = put(store, b"as it was pushed")
    objects.link_tree(store, {"a": name}, tmp_path / "tree")
    (tmp_path / "tree/a").chmod(0o644)
    with (tmp_path / "tree/a").open("r+b") as file:
        file.write(b"A")
    assert objects.absent(store, [name]) == [name]
    put(store, b"as it was pushed")
    assert objects.absent(store, [name]) == []
    # Whoever links to it has it whole again.
    assert (tmp_path / "tree/a").read_bytes() == b"as it was pushed"
    assert (tmp_path / "tree/a").stat().st_mode & 0o777 == 0o444


def test_a_wrong_checksum_at_the_end_is_damage_too(store: Path) -> None:
    packed = bytearray(pack_of(b"one"))
    packed[-6] ^= 1
    with pytest.raises(Refused, match="damaged"):
        objects.receive(store, io.BytesIO(bytes(packed)), [name_of(b"one")])


def test_garbage_is_what_nothing_links_to(store: Path, tmp_path: Path) -> None:
    kept, lost, waiting = put(store, b"kept", b"lost", b"not published yet")
    objects.link_tree(store, {"a": kept, "b": lost}, tmp_path / "tree")
    (tmp_path / "tree/b").unlink()
    (store / objects.INCOMING / "half").write_text("an upload goes on here")
    objects.collect_garbage(store, keep={waiting})
    assert objects.absent(store, [kept, lost, waiting]) == [lost]
    assert everything(store / objects.INCOMING) == ["half"]


def test_a_file_that_is_not_what_was_pushed_is_found(store: Path, tmp_path: Path) -> None:
    same, flipped, gone = put(store, b"same", b"flipped", b"gone")
    tree = {"same": same, "d/flipped": flipped, "gone": gone}
    target = tmp_path / "tree"
    objects.link_tree(store, tree, target)
    assert objects.differing(tree, target) == []
    (target / "d/flipped").unlink()
    (target / "d/flipped").write_bytes(b"flippee")
    (target / "gone").unlink()
    assert objects.differing(tree, target) == ["d/flipped", "gone"]


def test_the_disk_being_full_is_told_as_that(store: Path) -> None:
    class FullDisk(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(Refused, match="disk is full"):
        objects.receive(store, io.BufferedReader(FullDisk()), [name_of(b"one")])
