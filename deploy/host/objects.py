"""The object store: every file of every release once, by its digest, linked into place.

A push sends only digests that the droplet does not have; a push that was cut off goes on where
it was; a release costs the disk what changed. Objects are read-only and named by the SHA-256 of
their content, with ``x`` behind it for executables (a hard link shares its mode).
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import os
import re
import shutil
import tarfile
import zlib
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from deploy.host.errors import Refused

# Path inside the tree -> object name.
Tree = Mapping[str, str]

OBJECT_NAME = re.compile(r"[0-9a-f]{64}x?")
# A path with a part that is "", "." or "..", so an absolute one too.
LEAVING = re.compile(r"(?:\A|/)\.{0,2}(?:/|\Z)|\0")
INCOMING = "incoming"
CHUNK = 1 << 20
# Each of more would be a wait for the disk of its own.
FEW = 20


def object_path(store: Path, name: str) -> Path:
    return store / name[:2] / name


def absent(store: Path, names: Iterable[str]) -> list[str]:
    """The names that the store does not hold, or not as they arrived, sorted."""
    wanted = set(names)
    return sorted(wanted - whole(store, wanted))


def whole(store: Path, names: Iterable[str]) -> set[str]:
    """Those that the store holds as they arrived."""
    folder = str(store)
    return {name for name in names if _whole(folder, name)}


def put(store: Path, content: bytes) -> str:
    """Keep something that was made here; returns its name."""
    name = hashlib.sha256(content).hexdigest()
    if not as_settled(object_path(store, name), name):
        incoming = store / INCOMING
        incoming.mkdir(exist_ok=True)
        (incoming / name).write_bytes(content)
        adopt(store)
    return name


def receive(store: Path, stream: IO[bytes], wanted: Iterable[str]) -> None:
    """Take the wanted objects from a gzipped tar stream, checking each against its name.

    Raises:
        Refused: a member was not asked for, is no plain file, or does not match its digest.
    """
    incoming = store / INCOMING
    incoming.mkdir(exist_ok=True)
    expected = set(wanted)
    try:
        with gzip.open(stream) as plain:
            for member in _members(plain):
                if member.name not in expected or not member.isreg():
                    raise Refused(
                        f"The pack holds {member.name!r}, which was not asked for. "
                        "Run: invoke deploy"
                    )
                _take(incoming / member.name, plain, member.size)
                plain.read(-member.size % tarfile.BLOCKSIZE)
                expected.discard(member.name)
            # To the end, where the checksum is.
            while plain.read(CHUNK):
                pass
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Refused(
                "The droplet's disk is full; what was taken so far is kept for the next try. "
                "Run: invoke status"
            ) from None
        raise Refused(f"The pack is damaged ({error}). Run: invoke deploy") from None
    if expected:
        raise Refused(f"The pack lacks {len(expected)} objects. Run: invoke deploy")
    adopt(store, checked=set(wanted))


def adopt(store: Path, checked: Container[str] = ()) -> None:
    """Move what arrived into the store, after checking it and forcing it to the disk.

    Also picks up what an earlier push left behind when it was cut off. An object that was damaged
    is mended in place, and so in every release that links to it.

    Args:
        checked: names of those that were held against their digest as they came.
    """
    incoming = store / INCOMING
    if not incoming.is_dir():
        return
    arrived = [path for path in incoming.iterdir() if OBJECT_NAME.fullmatch(path.name)]
    _force(arrived)
    for path in arrived:
        if path.name not in checked and digest(path) != path.name[:64]:
            path.unlink()
            continue
        target = object_path(store, path.name)
        target.parent.mkdir(exist_ok=True)
        if target.exists():
            target.chmod(0o644)
            shutil.copyfile(path, target)
            path.unlink()
        else:
            path.rename(target)
        settle(target, target.name)


def _force(arrived: list[Path]) -> None:
    """To the disk: a few by themselves, as all that the host has not written yet may be a lot."""
    if len(arrived) > FEW:
        os.sync()
        return
    for path in arrived:
        with path.open("rb") as file:
            os.fsync(file.fileno())


def settle(path: Path, name: str) -> None:
    """Make a file read-only, and stamp it by a name: writing to it would show."""
    path.chmod(0o555 if name.endswith("x") else 0o444)
    os.utime(path, (_stamp(name),) * 2)


def as_settled(path: Path, name: str) -> bool:
    """Whether a file is there, and was not written to since it was settled."""
    try:
        return path.stat().st_mtime == _stamp(name)
    except FileNotFoundError:
        return False


def link_tree(store: Path, tree: Tree, target: Path) -> None:
    """Lay the tree out under ``target``, as hard links to the objects.

    Raises:
        Refused: a path would leave the folder.
    """
    made: set[str] = set()
    # Ten thousand times in a large project: no place for Path.
    kept, base = str(store), str(target)
    for path, name in sorted(tree.items()):
        _check_path(path)
        folder = path.rpartition("/")[0]
        if folder not in made:
            Path(base, folder).mkdir(parents=True, exist_ok=True)
            made.add(folder)
        link(f"{kept}/{name[:2]}/{name}", f"{base}/{path}")


def link(source: Path | str, target: Path | str) -> None:
    """Hard link, or copy where the file system's limit of links is reached."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno != errno.EMLINK:
            raise
        shutil.copy2(source, target)


def below(folder: Path | str, inside: str = "") -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Everything below a folder with its path in there; what a link leads to is not gone into."""
    with os.scandir(folder) as entries:
        for entry in entries:
            yield f"{inside}{entry.name}", entry
            if entry.is_dir(follow_symlinks=False):
                yield from below(entry.path, f"{inside}{entry.name}/")


def differing(tree: Tree, folder: Path) -> list[str]:
    """Paths of the tree that are missing under ``folder`` or have other content."""
    wrong = []
    for path, name in sorted(tree.items()):
        try:
            if digest(folder / path) != name[:64]:
                wrong.append(path)
        except OSError:
            wrong.append(path)
    return wrong


def collect_garbage(store: Path, keep: Container[str]) -> None:
    """Remove the objects that no release, venv or static file links to any more.

    Args:
        keep: names that nothing may link to yet (static files before they are published).
    """
    for folder in store.iterdir():
        if folder.name != INCOMING:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.stat().st_nlink == 1 and entry.name not in keep:
                        Path(entry.path).unlink()


def remove_unlinked(store: Path, names: Iterable[str]) -> None:
    """Of these objects remove those that no release, venv or static file links to any more."""
    for name in names:
        path = object_path(store, name)
        with suppress(FileNotFoundError):
            if path.stat().st_nlink == 1:
                path.unlink()


def digest(path: Path) -> str:
    hasher = hashlib.sha256()
    # hashlib.file_digest fills a buffer for each file, which takes longer than most files do.
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()


def _stamp(name: str) -> int:
    """The object's modification time, made of its digest.

    Whoever writes to the object, through any of its links, changes it: so damage is seen with the
    stat that is done anyway, where reading ten thousand files would take seconds. Nginx makes an
    ETag of it, which is then the same for the same content.
    """
    return int(name[:7], 16)


def _whole(store: str, name: str) -> bool:
    """Whether the object is there as it arrived.

    Thousands are asked for in each deploy, so this is not the place for Path.
    """
    try:
        return os.stat(f"{store}/{name[:2]}/{name}").st_mtime == _stamp(name)  # noqa: PTH116
    except FileNotFoundError:
        return False


def _members(plain: io.BufferedIOBase) -> Iterator[tarfile.TarInfo]:
    """The heads of a tar; whoever takes one reads what it tells of before the next.

    tarfile's own reading of a stream takes longer than all the rest of taking it in.
    """
    while any(head := plain.read(tarfile.BLOCKSIZE)):
        yield tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")


def _take(path: Path, plain: io.BufferedIOBase, size: int) -> None:
    hasher = hashlib.sha256()
    with path.open("wb") as file:
        while size > 0 and (chunk := plain.read(min(size, CHUNK))):
            size -= len(chunk)
            hasher.update(chunk)
            file.write(chunk)
    if hasher.hexdigest() != path.name[:64]:
        path.unlink()
        raise Refused(
            f"Object {path.name[:12]} does not match its digest, so the push is damaged and was "
            "refused. Run: invoke deploy"
        )


def _check_path(path: str) -> None:
    if LEAVING.search(path):
        raise Refused(
            f"The artifact holds the path {path!r}, which leaves its folder. Run: invoke deploy"
        )
