"""The sample site in a repository, the changes made to it, and its packages as wheels."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import uv

from benchmarks.clock import must, timed
from benchmarks.ground import Ground
from benchmarks.model import Failed
from benchmarks.peers import stand
from tests.lab.site import ROOT, run

TEMPLATE = "app/catalog/templates/base.html"
REQUIREMENTS = "app/requirements.txt"
# Small packages without dependencies, added one by one, so that each is new.
ADDED = (
    "blinker", "click", "itsdangerous", "iniconfig", "pluggy", "toolz", "zipp", "attrs", "idna",
    "certifi", "six", "pytz", "sortedcontainers", "humanize", "inflection", "isodate",
)  # fmt: skip
# To build a wheel of the site itself, where a peer does that.
BUILDING = ("setuptools",)


class Repository:
    """A repository with the site in it, in the folder app/."""

    def __init__(self, folder: Path, wheels: Path) -> None:
        self.folder = folder
        self._wheels = wheels

    def git(self, *words: str) -> str:
        return must(run("git", *words, cwd=self.folder)).stdout.strip()

    def change(self, line: str) -> None:
        """One line changed: what every page ends with."""
        path = self.folder / TEMPLATE
        marked = [one for one in path.read_text().splitlines() if not one.startswith("<!-- bench")]
        path.write_text("\n".join([*marked, f"<!-- bench {line} -->", ""]))
        self.git("commit", "--quiet", "--all", "-m", f"Change {line}")

    def add_package(self) -> None:
        """One package more, which none of the revisions before had."""
        path = self.folder / REQUIREMENTS
        listed = path.read_text()
        for name in ADDED:
            if f"{name}==" not in listed:
                break
        else:
            raise Failed(f"all {len(ADDED)} packages are in use; run fewer rounds")
        (wheel,) = self._wheels.glob(f"{name}-*.whl")
        version = wheel.name.split("-")[1]
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        path.write_text(f"{listed.rstrip()}\n{name}=={version} --hash=sha256:{digest}\n")
        self.git("commit", "--quiet", "--all", "-m", f"Add {name}")


def make(folder: Path, wheels: Path, files: Mapping[str, str]) -> Repository:
    """The sample site in a repository of its own, with a peer's files beside it."""
    shutil.copytree(ROOT / "app", folder / "app", ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / ".gitignore").write_text("__pycache__/\nstaticfiles/\ndist/\nbuild/\n*.egg-info/\n")
    made = Repository(folder, wheels)
    made.git("init", "--quiet", "--initial-branch=main")
    made.git("config", "user.name", "Bench")
    made.git("config", "user.email", "bench@slipway.test")
    made.git("add", "--all")
    made.git("commit", "--quiet", "-m", "The site")
    return made


def wheels(ground: Ground) -> Path:
    """All packages as wheels, for the droplet's Python and this one, here and on the droplet.

    Whoever installs has them at hand, so that no index and no network is measured.
    """
    ground.note("wheels of all packages")
    folder = ground.folder / "wheels"
    folder.mkdir()
    there = ground.site.ask("python3 -c 'import sys; print(*sys.version_info[:2], sep=\".\")'")
    listed = ground.folder / "extra.txt"
    listed.write_text("\n".join((*ADDED, *BUILDING)))
    here = (uv.find_uv_bin(), "tool", "run", "pip", "download", "--quiet", "--dest", str(folder))
    tags = [f"--platform={tag}_x86_64" for tag in ("manylinux_2_28", "manylinux2014")]
    other = ("--python-version", there, *tags, "--only-binary", ":all:")
    for options in ((), other):
        timed((*here, *options, "--require-hashes", "-r", str(ROOT / REQUIREMENTS)))
    timed((*here, "--no-deps", "--only-binary", ":all:", "-r", str(listed)))
    stand.bring_wheels(ground.site, [*folder.iterdir()])
    return folder


def offline(wheels_here: Path) -> dict[str, str]:
    """Variables with which uv asks no index."""
    return {"UV_NO_INDEX": "1", "UV_FIND_LINKS": str(wheels_here)}
