"""Whether a deploy of one line costs the same in a site that has grown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml

from benchmarks.clock import must, timed
from benchmarks.ground import Ground
from benchmarks.model import OURS, Benchmark, Contestant, Figures, Measure, Run, Target
from benchmarks.peers import new_line, repository
from benchmarks.peers.slipway import Slipway
from benchmarks.routes import Route, near
from tests.lab.inventories import NOBODY, hosts

GROWN = "grown"
STATIC_FILES, MIGRATIONS, KEPT, HOSTS = 10_000, 500, 50, 100
# About 250 MB in 4,000 files; the site imports none of them.
PACKAGES = ("numpy", "scipy", "pandas")
PHASES = ("connect", "build", "push", "collectstatic", "migrate", "gate", "prune")
MIGRATION = """\
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [{before}]
    operations = [{operation}]
"""
CREATE = (
    'migrations.CreateModel("Thing", [("id", models.BigAutoField(auto_created=True, '
    'primary_key=True, serialize=False, verbose_name="ID")), '
    '("name", models.CharField(max_length=100))])'
)
ALTER = 'migrations.AlterField("thing", "name", models.CharField(max_length={length}))'


def grow(folder: Path) -> None:
    """Write an app with that many static files and migrations into the project in ``folder``."""
    app = folder / "app" / GROWN
    static, migrations = app / "static" / GROWN, app / "migrations"
    for made in (static, migrations):
        made.mkdir(parents=True)
    for number in range(STATIC_FILES // 2):
        colours = "".join(f".c{one} {{ color: #{number + one:06x} }}\n" for one in range(30))
        (static / f"{number:05}.css").write_text(colours)
        (static / f"{number:05}.svg").write_text(f'<svg><text x="{number}">{number}</text></svg>')
    length = 100
    (migrations / "__init__.py").touch()
    for number in range(1, MIGRATIONS + 1):
        length = 100 + number
        operation = CREATE if number == 1 else ALTER.format(length=length)
        before = "" if number == 1 else f'("{GROWN}", "{number - 1:04}_thing")'
        text = MIGRATION.format(before=before, operation=operation)
        (migrations / f"{number:04}_thing.py").write_text(text)
    (app / "__init__.py").touch()
    (app / "models.py").write_text(
        "from django.db import models\n\n\nclass Thing(models.Model):\n"
        f"    name = models.CharField(max_length={length})\n"
    )
    settings = folder / "app" / "locallibrary" / "settings.py"
    settings.write_text(f'{settings.read_text()}INSTALLED_APPS.append("{GROWN}")\n')


class Grown:
    """A second site on the droplet, whose project is a repository of its own."""

    def __init__(self, ground: Ground) -> None:
        self._ours = ground.once(Slipway)
        self._site = ground.site
        ground.note(f"a site of {STATIC_FILES} static files and {MIGRATIONS} migrations")
        folder = ground.folder / GROWN
        self._repository = repository.make(folder, ground.once(repository.wheels), {})
        grow(folder)
        extra = ground.folder / "grown.txt"
        extra.write_text((folder / "app/requirements.in").read_text() + "\n".join(PACKAGES))
        timed(
            (
                *("uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"),
                *("--python-version", "3.11", str(extra)),
                *("-o", str(folder / repository.REQUIREMENTS)),
            )
        )
        self._repository.git("add", "--all")
        self._repository.git("commit", "--quiet", "-m", "Grow")
        self._write_inventory(folder, ground.once(near))
        must(self._site.play(env=GROWN))
        must(self._site.invoke("deploy", env=GROWN))
        ground.note(f"{KEPT} kept releases")
        for _ in range(KEPT):
            # Kept are those that were live.
            self._repository.change(new_line())
            must(self._site.invoke("deploy", env=GROWN))

    def one_line(self) -> Figures:
        self._repository.change(new_line())
        return self._ours.timed("deploy", GROWN, {})

    def _write_inventory(self, source: Path, route: Route) -> None:
        facts: dict[str, object] = {
            "ansible_host": route.host,
            "environment_name": GROWN,
            "site_app": GROWN,
            "site_deploy_user": f"{GROWN}-deploy",
            "site_domains": [f"{GROWN}.{self._site.domain}"],
            "site_source": str(source),
            "site_keep_releases": KEPT,
        }
        folder = self._site.clone / "inventory"
        text = f"---\n{yaml.safe_dump(hosts(self._site.name, facts))}"
        (folder / f"{GROWN}.yml").write_text(text)
        # Of droplets that nobody has: the team's others.
        others = {**facts, "ansible_host": NOBODY}
        for number in range(1, HOSTS):
            text = f"---\n{yaml.safe_dump(hosts(f'host{number}', others))}"
            (folder / f"host{number}.yml").write_text(text)
        self._site.commit({}, "The site that has grown")


@contextmanager
def open_(ground: Ground) -> Iterator[Mapping[str, Run | str]]:
    ours, route = ground.once(Slipway), ground.once(near)

    def one_line() -> Figures:
        ours.change(new_line())
        return ours.deploy(route)

    yield {OURS: one_line, GROWN: ground.once(Grown).one_line}


BENCHMARKS = (
    Benchmark(
        name="growth",
        title="Deploy of one line in a site that has grown",
        about=(
            f"The sample site, and beside it on the same droplet one with {STATIC_FILES:,} more "
            f"static files, {MIGRATIONS} migrations, {KEPT} kept releases and 250 MB of packages; "
            f"the inventory has {HOSTS} hosts then, of which the others are only written down. "
            "Both deploy one changed line."
        ),
        contestants=(
            Contestant(OURS, "LocalLibrary"),
            Contestant(GROWN, "LocalLibrary, grown"),
        ),
        measures=(
            Measure("seconds", "seconds"),
            Measure("sent", "kB", digits=0),
            *(Measure(phase, "s") for phase in PHASES),
        ),
        targets=(
            Target(
                "At most a quarter more than in the site as it is",
                lambda medians: medians[GROWN]["seconds"] / medians[OURS]["seconds"],
                at_most=1.25,
                unit="times",
            ),
        ),
        open=open_,
    ),
)
