"""Deploys and rollbacks: ours, and what one would use instead, of the same site on one droplet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from benchmarks.clock import must, timed
from benchmarks.ground import Ground
from benchmarks.model import (
    OURS,
    Benchmark,
    Contestant,
    Figures,
    Measure,
    Medians,
    Run,
    Target,
    median,
    ratio,
)
from benchmarks.peers import Deployer, deployers, new_line
from benchmarks.peers.slipway import Slipway
from benchmarks.routes import Route, far, near
from lab import paths
from tests.lab.site import BIN

Opened = AbstractContextManager[Mapping[str, Run | str]]

SSH, TASK, ANEW = "ssh", "task", "anew"
# Those that ask nothing of a release before visitors get it.
UNCHECKED = ("tutorial", "capistrano")
PEERS = (*UNCHECKED, "fujin")
CONTESTANTS = (
    Contestant(OURS, "`invoke`, with every gate; without the bake"),
    Contestant("tutorial", "git pull, pip, migrate, collectstatic, restart, over one ssh"),
    Contestant("capistrano", "Debian's 3.17: git, one virtual environment, restart"),
    Contestant("fujin", "fujin-cli 0.27: a wheel, uv, HUP"),
)
PINGS = (
    Contestant(ANEW, "Slipway, the first command in five minutes: no connection was kept"),
    Contestant(SSH, "a yardstick: Python starts on the droplet, over a kept connection"),
    Contestant(TASK, "a yardstick: the same, asked by the smallest task of Invoke"),
)
SECONDS = Measure("seconds", "seconds")
# Phases of ours, which peers do not have.
ON_DROPLET = (
    Measure("connect", "seconds"),
    Measure("start", "seconds in which the site starts"),
    Measure("retire", "seconds after the switch"),
)
SENT = Measure("sent", "kB", digits=0)
ALIKE = (
    "All deploy LocalLibrary to one droplet, each with a user, a database and a Gunicorn of its "
    "own, behind the same Nginx. All packages lie as wheels beside whoever installs them, and the "
    "peers' git server is the droplet itself, so nobody waits for a network. Slipway finds the ssh "
    "connection of the run before, which it keeps for five minutes; the others connect each time. "
    "After each run the site is asked for what was deployed."
)


def unchanged(peer: Deployer, route: Route) -> Figures:
    return peer.deploy(route)


def one_line(peer: Deployer, route: Route) -> Figures:
    peer.change(new_line())
    return peer.deploy(route)


def dependency(peer: Deployer, route: Route) -> Figures:
    peer.add_package()
    return peer.deploy(route)


def first(peer: Deployer, route: Route) -> Figures:
    peer.forget()
    return peer.deploy(route)


def rollback(peer: Deployer, route: Route) -> Figures:
    peer.change(new_line())
    peer.deploy(route)
    return peer.rollback(route)


@contextmanager
def rolling_back_warm(ground: Ground) -> Iterator[Mapping[str, Run | str]]:
    """The release before is left running, as `keep_warm` in the inventory says it."""
    site, facts = ground.site, Path("inventory/group_vars/all.yml")
    usual = (site.clone / facts).read_text()
    with opening(rollback, near)(ground) as ready:
        warm = usual.replace("  keep_warm: false", "  keep_warm: true")
        site.commit({str(facts): warm}, "Keep the release before warm")
        must(site.play())
        yield ready
        site.commit({str(facts): usual}, "Let it stop")
        must(site.play())


def opening(
    step: Callable[[Deployer, Route], Figures], way: Callable[[Ground], Route], ping: bool = False
) -> Callable[[Ground], Opened]:
    """A benchmark's ``open``: one step of everybody, over that route."""

    @contextmanager
    def open_(ground: Ground) -> Iterator[Mapping[str, Run | str]]:
        route = ground.once(way)
        ready: dict[str, Run | str] = {
            name: peer if isinstance(peer, str) else partial(step, peer, route)
            for name, peer in ground.once(deployers).items()
        }
        if not ping:
            yield ready
            return
        with kept_connection(route, ground.folder) as asked:
            yield {**ready, ANEW: partial(ground.once(Slipway).deploy_anew, route), **asked}

    return open_


@contextmanager
def kept_connection(route: Route, folder: Path) -> Iterator[Mapping[str, Run]]:
    """One command over an ssh connection that is already there, by itself and in a bare task."""
    control = ("-o", f"ControlPath={folder}/ssh-{route.name}", "-o", "ControlMaster=auto")
    options = ("-F", "none", "-i", str(paths.SSH_KEY), "-p", str(route.port))
    known = ("-o", f"UserKnownHostsFile={route.known_hosts}", "-o", "ControlPersist=600")
    ssh = ("ssh", *options, *known, *control, f"root@{route.host}")
    command = (*ssh, "/usr/bin/python3 -I -c pass")
    place = folder / f"task-{route.name}"
    place.mkdir(exist_ok=True)
    (place / "tasks.py").write_text(
        "import subprocess\nfrom invoke import task\n\n\n@task\ndef ask(context):\n"
        f"    subprocess.run({command!r}, check=True)\n"
    )
    invoke = (str(BIN / "invoke"), "ask")
    yield {
        SSH: lambda: {"seconds": timed(command).seconds},
        TASK: lambda: {"seconds": timed(invoke, place).seconds},
    }
    timed((*ssh, "-O", "exit"))


def without_start(medians: Medians) -> float:
    """Ours, but for what the site itself needs to start."""
    return medians[OURS]["seconds"] - medians[OURS]["start"]


def faster(times: float, than: tuple[str, ...], whom: str) -> Target:
    return Target(
        f"At least {times:g} times faster than {whom}",
        ratio(OURS, than, "seconds"),
        at_least=times,
        unit="times",
        digits=1,
    )


FASTEST = faster(2, UNCHECKED, "the fastest peer that checks nothing")
FLOOR = Target(
    "At most 3 times one command over a kept connection and the start of Python with Invoke",
    ratio(TASK, [OURS], "seconds"),
    at_most=3,
    unit="times",
    digits=1,
)
BENCHMARKS = (
    Benchmark(
        name="deploy-unchanged",
        title="Deploy, nothing changed",
        about=f"The same command once more. {ALIKE}",
        contestants=(*CONTESTANTS, *PINGS),
        measures=(SECONDS,),
        targets=(Target("At most 1 s", median(OURS, "seconds"), at_most=1, unit="s"), FLOOR),
        open=opening(unchanged, near, ping=True),
    ),
    Benchmark(
        name="deploy-one-line",
        title="Deploy, one line changed",
        about="A line of a template is changed. " + ALIKE,
        contestants=CONTESTANTS,
        measures=(SECONDS, *ON_DROPLET, SENT),
        targets=(
            Target("At most 2 s and the site's own start", without_start, at_most=2, unit="s"),
            FASTEST,
        ),
        open=opening(one_line, near),
    ),
    Benchmark(
        name="deploy-dependency",
        title="Deploy, one dependency added",
        about="A small package is added to the lock file, one that was never there. " + ALIKE,
        contestants=CONTESTANTS,
        measures=(SECONDS, *ON_DROPLET, SENT),
        targets=(
            Target("At most 3 s and the site's own start", without_start, at_most=3, unit="s"),
        ),
        open=opening(dependency, near),
    ),
    Benchmark(
        name="deploy-first",
        title="Deploy, the first",
        about=(
            "Provisioned, and never deployed to: no code, no packages, an empty database; here "
            "nothing has been built before either, but the inventory is rendered, as site.yml "
            f"leaves it. {ALIKE}"
        ),
        contestants=CONTESTANTS,
        measures=(SECONDS, *ON_DROPLET, SENT),
        targets=(faster(2, PEERS, "the fastest peer"),),
        open=opening(first, near),
    ),
    Benchmark(
        name="rollback-warm",
        title="Rollback to a release that still runs",
        about=(
            "Back to the release before, which `keep_warm` left running; that of the others, as "
            f"they have it. {ALIKE}"
        ),
        contestants=CONTESTANTS,
        measures=(SECONDS, *ON_DROPLET),
        targets=(
            Target("At most 0.3 s", median(OURS, "seconds"), at_most=0.3, unit="s"),
            faster(10, ("fujin",), "fujin"),
        ),
        open=rolling_back_warm,
    ),
    Benchmark(
        name="rollback-cold",
        title="Rollback",
        about="Back to the release before, which has to start again. " + ALIKE,
        contestants=CONTESTANTS,
        measures=(SECONDS, *ON_DROPLET),
        targets=(
            Target("At most 2 s and the site's own start", without_start, at_most=2, unit="s"),
            faster(10, ("fujin",), "fujin"),
        ),
        open=opening(rollback, near),
    ),
    Benchmark(
        name="far-unchanged",
        title="Deploy from far away, nothing changed",
        about="As deploy-unchanged, with a round trip of 40 ms to the droplet.",
        contestants=(*CONTESTANTS, *PINGS),
        measures=(SECONDS,),
        targets=(Target("At most 1 s", median(OURS, "seconds"), at_most=1, unit="s"), FLOOR),
        open=opening(unchanged, far, ping=True),
    ),
    Benchmark(
        name="far-one-line",
        title="Deploy from far away, one line changed",
        about="As deploy-one-line, with a round trip of 40 ms to the droplet.",
        contestants=CONTESTANTS,
        measures=(SECONDS, *ON_DROPLET),
        targets=(FASTEST,),
        open=opening(one_line, far),
    ),
    Benchmark(
        name="far-rollback",
        title="Rollback from far away",
        about="As rollback-cold, with a round trip of 40 ms to the droplet.",
        contestants=CONTESTANTS,
        measures=(SECONDS, *ON_DROPLET),
        targets=(faster(10, ("fujin",), "fujin"),),
        open=opening(rollback, far),
    ),
)
