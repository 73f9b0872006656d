"""Damage on the way and on the disk: refused before anything is made of it, or told by verify."""

import shlex

import pytest

from tests.lab.faults import changes
from tests.lab.faults.conftest import NewRow
from tests.lab.faults.inside import APP, LAYOUT, look, whole
from tests.lab.faults.invariants import check_after, check_answers, check_told
from tests.lab.faults.visitors import Visitors
from tests.lab.site import Site

pytestmark = pytest.mark.slow

GROUP = "A damaged or hostile artifact"
BUILD = "deploy/artifact.py"
# The clone's own engine packs and tells badly; the droplet has to notice.
BAD_PACK = """

def _spoil(self, names):
    import io
    import tarfile
    data = bytearray(b"".join(_whole_pack(self, names)))
{how}
    yield bytes(data)


_whole_pack = Artifact.pack
Artifact.pack = _spoil
"""
FLIP = """\
    data[{place}] ^= 1
"""
REPACK = """\
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = [(member, tar.extractfile(member).read()) for member in tar]
    spoiled = io.BytesIO()
    with tarfile.open(fileobj=spoiled, mode="w:gz") as tar:
        for number, (member, content) in enumerate(members):
            if number == 0:
                {change}
            tar.addfile(member, io.BytesIO(content))
    data = spoiled.getvalue()
"""
EVIL = f"{LAYOUT.root}/evil"
DAMAGE = {
    "a bit is flipped in the head of the pack": FLIP.format(place="1"),
    "a bit is flipped in the middle of the pack": FLIP.format(place="len(data) // 2"),
    "a bit is flipped in the checksum at the end of the pack": FLIP.format(place="len(data) - 6"),
    "the pack ends early": "    data = data[: len(data) // 2]\n",
    "a file in the pack has another content": REPACK.format(
        change="content = bytes([content[0] ^ 1]) + content[1:]"
    ),
    "a member of the pack leads out of its folder": REPACK.format(
        change="member.name = '../../evil'"
    ),
    "a member of the pack is an absolute path": REPACK.format(change=f"member.name = '{EVIL}'"),
    "a member of the pack is a symbolic link": REPACK.format(
        change="member.type, member.linkname = tarfile.SYMTYPE, '/etc/passwd'"
    ),
    "a member of the pack is a device": REPACK.format(change="member.type = tarfile.CHRTYPE"),
    "the manifest leads out of its folder": "",
}
BAD_MANIFEST = """

def _mislead(self, facts):
    told = json.loads(zlib.decompress(_whole_manifest(self, facts)))
    told["differs"]["app/../../../evil"] = next(iter(self.project.values()))
    return zlib.compress(json.dumps(told).encode())


_whole_manifest = Artifact.compressed_manifest
Artifact.compressed_manifest = _mislead
"""


@pytest.mark.parametrize("damage", DAMAGE)
def test_it_is_refused(site: Site, row: NewRow, damage: str) -> None:
    told = row(GROUP, damage, "refused; nothing of it is left, inside or outside", "A B C F")
    old, good = site.release(), site.git("rev-parse", "HEAD")
    before = look(site)
    with Visitors(site) as visitors:
        changes.good(site)
        # Big enough for a pack whose middle is in a file's content.
        site.commit({"app/NOTES.txt": "a line of text\n" * 500}, "More to send")
        how = DAMAGE[damage]
        spoiled = BAD_PACK.format(how=how) if how else BAD_MANIFEST
        changes.append(site, BUILD, spoiled, damage)
        done = site.invoke("deploy")
        check_told(done, codes=(2, 3))
        after = look(site)
        assert after.sealed == before.sealed
        assert after.current == before.current
        assert site.ssh("find / -xdev -name 'evil*' | grep .").code == 1
        site.git("reset", "--quiet", "--hard", good)
        struck = check_after(site, told, visitors)
    check_answers(told, visitors.history, old, struck)


FILES = {
    "a source file": "app/catalog/views.py",
    "a template": "app/catalog/templates/base.html",
    "the file of a locked package": "venv/lib/python*/site-packages/django/shortcuts.py",
}


FLIP_IN = """
import glob, os, sys
path, = glob.glob(sys.argv[1])
os.chmod(path, 0o644)
with open(path, "r+b") as file:
    first = file.read(1)[0]
    file.seek(0)
    file.write(bytes([first ^ 1]))
os.chmod(path, 0o444)
"""


def flip_in(path: str) -> str:
    """A command that flips the lowest bit of a file's first byte; the path may be a pattern."""
    return f"python3 -c {shlex.quote(FLIP_IN)} {shlex.quote(path)}"


@pytest.mark.parametrize("kind", FILES)
def test_a_bit_flips_on_the_disk(site: Site, row: NewRow, kind: str) -> None:
    """No release may inherit the damage through the store of files."""
    told = row(
        GROUP,
        f"on the droplet a bit flips in {kind} of the live release",
        "`verify` names it; the next deploy mends it in every release",
        "A B C",
    )
    old = site.release()
    path = f"{LAYOUT.release(old)}/{FILES[kind]}"
    with Visitors(site) as visitors:
        site.ask(flip_in(path))
        try:
            done = site.ssh(f"slipway {APP} verify")
            assert done.code == 4, done
            assert FILES[kind].rpartition("*/")[2] in done.output, done
            revision = changes.good(site)
            done = site.invoke("deploy")
            assert done.code == 0, done
            assert site.release().endswith(revision)
            whole(site)
        finally:
            if site.ssh(f"slipway {APP} verify").code != 0:
                site.ask(flip_in(path))
    check_answers(told, visitors.history, old, revision)
