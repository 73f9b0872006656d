"""A pack is made piece by piece, as hard as the link wants it."""

import gzip
import io
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import packing

TEXT = b"".join(b"line %d of a text\n" % number for number in range(20_000))


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path]]:
    monkeypatch.setattr(packing, "PIECE", 100_000)
    contents = {"a" * 64: TEXT, "b" * 64 + "x": b"", "c" * 64: b"short"}
    for name, content in contents.items():
        (tmp_path / name[0]).write_bytes(content)
    return [(name, tmp_path / name[0]) for name in contents]


def levels(pieces: Iterator[bytes], seconds: float) -> set[int]:
    """How hard each piece but the first is squeezed, for one who takes them that slowly."""
    found = []
    for piece in pieces:
        plain = gzip.decompress(piece)
        tried = (packing.QUICK, packing.THOROUGH)
        found.append(next(one for one in tried if gzip.compress(plain, one, mtime=0) == piece))
        time.sleep(seconds)
    assert len(found) > 3
    return {*found[1:-1]}


def test_any_tar_reads_it(files: list[tuple[str, Path]]) -> None:
    packed = io.BytesIO(b"".join(packing.pack(files)))
    with tarfile.open(fileobj=packed) as tar:
        assert {member.name: tar.extractfile(member).read() for member in tar} == {  # type: ignore[union-attr]
            name: path.read_bytes() for name, path in files
        }


def test_a_slow_link_gets_smaller_pieces(files: list[tuple[str, Path]]) -> None:
    assert levels(packing.pack(files), seconds=0.2) == {packing.THOROUGH}


def test_what_becomes_shorter_while_it_is_sent_is_no_pack(
    files: list[tuple[str, Path]],
) -> None:
    pieces = packing.pack(files)
    next(pieces)
    files[0][1].write_bytes(b"")
    with pytest.raises(OSError, match="became shorter"):
        list(pieces)
