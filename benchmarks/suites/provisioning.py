"""Provisioning: a run that has nothing to do, and one on a bare droplet."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import uv
import yaml

from benchmarks.clock import timed
from benchmarks.ground import Ground
from benchmarks.model import (
    OURS,
    Benchmark,
    Contestant,
    Failed,
    Figures,
    Measure,
    Run,
    Target,
    median,
)
from benchmarks.peers import stand
from lab import droplets, paths
from tests.lab.inventories import hosts
from tests.lab.site import BIN

HERE = Path(__file__).parent
PYINFRA, MITOGEN = "pyinfra==3.10.0", "mitogen==0.3.54"
NAIVE = ("-e", "unchanged_skip=false")
SECONDS = Measure("seconds", "seconds")
PACKAGES = Measure("packages", "seconds in apt and dpkg")
CHANGED = re.compile(r"changed=(\d+)")
ROLE = re.compile(r"^packages -+ ([\d.]+)s", re.MULTILINE)
# What pyinfra has to hold: the files that the roles wrote, whoever owns them, and what runs.
STATE = r"""
echo "packages $(apt-mark showmanual | tr '\n' ' ')"
echo "services $(systemctl list-unit-files --state=enabled --type=service --no-legend |
  awk '$1 !~ /@|getty|bench/ { print $1 }' | xargs systemctl is-active | paste -d' ' - <(
  systemctl list-unit-files --state=enabled --type=service --no-legend |
  awk '$1 !~ /@|getty|bench/ { print $1 }') | awk '$1 == "active" { print $2 }' | tr '\n' ' ')"
grep -rlI 'Ansible managed' /etc /usr/local 2>/dev/null | xargs stat -c 'file %n %U %G %a'
"""


def play(ground: Ground, *options: str, **variables: str) -> Figures:
    """site.yml, which must not change anything."""
    argv = (str(BIN / "ansible-playbook"), "-i", f"inventory/{ground.site.name}.yml", "site.yml")
    done = timed((*argv, *options), ground.site.clone, variables)
    changed = CHANGED.search(done.output)
    if changed and changed[1] != "0":
        raise Failed(f"a run with nothing to do changed {changed[1]} things")
    return {"seconds": done.seconds}


@contextmanager
def nothing_to_do(ground: Ground) -> Iterator[Mapping[str, Run | str]]:
    site = ground.site
    play_again(ground)
    runs: dict[str, Run | str] = {
        OURS: lambda: play(ground),
        "ansible": lambda: play(ground, *NAIVE),
    }
    with TemporaryDirectory() as name:
        folder = Path(name)
        timed((uv.find_uv_bin(), "pip", "install", "-q", "--target", name + "/mitogen", MITOGEN))
        plugins = f"{name}/mitogen/ansible_mitogen/plugins/strategy"
        runs["mitogen"] = lambda: play(
            ground,
            *NAIVE,
            ANSIBLE_STRATEGY="mitogen_linear",
            ANSIBLE_STRATEGY_PLUGINS=plugins,
            PYTHONPATH=f"{name}/mitogen",
        )
        timed((uv.find_uv_bin(), "venv", "-q", f"{name}/pyinfra"))
        where = ("--python", f"{name}/pyinfra/bin/python")
        timed((uv.find_uv_bin(), "pip", "install", "-q", *where, PYINFRA))
        read_state(ground, folder)
        variables = {
            "BENCH_HOST": site.address,
            "BENCH_KEY": str(paths.SSH_KEY),
            "BENCH_KNOWN_HOSTS": str(paths.KNOWN_HOSTS),
            "BENCH_STATE": name,
        }
        argv = (f"{name}/pyinfra/bin/pyinfra", "-y", "inventory.py", "deploy.py")
        runs["pyinfra"] = lambda: {"seconds": timed(argv, HERE / "pyinfra", variables).seconds}
        yield runs


def play_again(ground: Ground) -> None:
    """Until nothing is left to do: what other benchmarks put beside the site is seen once."""
    argv = (str(BIN / "ansible-playbook"), "-i", f"inventory/{ground.site.name}.yml", "site.yml")
    timed((*argv, *NAIVE), ground.site.clone)


def read_state(ground: Ground, folder: Path) -> None:
    """Write what pyinfra is to hold: state.json, and the files themselves."""
    state: dict[str, object] = {}
    files: dict[str, list[str]] = {}
    for line in stand.as_root(ground.site, STATE).splitlines():
        kind, *words = line.split()
        if kind == "file":
            files[words[0]] = words[1:]
        else:
            state[kind] = words
    (folder / "state.json").write_text(json.dumps({**state, "files": files}))
    (folder / "files").mkdir()
    listed = " ".join(files)
    stand.as_root(ground.site, f"tar -czf /root/bench-state.tar.gz {listed} 2>/dev/null")
    stand.fetch(ground.site, "/root/bench-state.tar.gz", folder)
    timed(("tar", "-xzf", str(folder / "bench-state.tar.gz"), "-C", str(folder / "files")))


@contextmanager
def bare(ground: Ground) -> Iterator[Mapping[str, Run | str]]:
    """A droplet of its own, new for each run; its packages come from this machine's cache."""
    name = f"{ground.name}-bare"
    clone = ground.site.clone

    def run() -> Figures:
        droplets.down(name)
        droplet = droplets.up(name)
        facts: dict[str, object] = {"ansible_host": droplet.address, "environment_name": name}
        inventory = clone / "inventory" / f"{name}.yml"
        inventory.write_text(f"---\n{yaml.safe_dump(hosts(name, facts))}")
        argv = (str(BIN / "ansible-playbook"), "-i", f"inventory/{name}.yml", "site.yml")
        timing = {"ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.profile_roles"}
        done = timed(argv, clone, timing)
        found = ROLE.search(done.output)
        if not found:
            raise Failed("the playbook did not tell how long its roles took")
        return {"seconds": done.seconds, "packages": float(found[1])}

    try:
        yield {OURS: run}
    finally:
        droplets.down(name)
        (clone / "inventory" / f"{name}.yml").unlink(missing_ok=True)


BENCHMARKS = (
    Benchmark(
        name="provision-unchanged",
        title="site.yml, nothing to do",
        about=(
            "The playbook once more on a droplet that is as it left it. pyinfra holds what it can "
            "of the same state: the files that the roles wrote, the packages, the services."
        ),
        contestants=(
            Contestant(OURS, "`ansible-playbook site.yml`"),
            Contestant("ansible", "all tasks, without the look whether anything changed"),
            Contestant("mitogen", "a yardstick: all tasks with mitogen's strategy 0.3.54"),
            Contestant("pyinfra", "3.10: files, packages and services"),
        ),
        measures=(SECONDS,),
        targets=(Target("At most 8 s", median(OURS, "seconds"), at_most=8, unit="s"),),
        open=nothing_to_do,
    ),
    Benchmark(
        name="provision-bare",
        title="site.yml on a bare droplet",
        about=(
            "Debian's smallest image with sshd, and its packages in this machine's cache. The role "
            "`packages`, which is apt and dpkg, tells its time by itself."
        ),
        contestants=(Contestant(OURS, "`ansible-playbook site.yml`"),),
        measures=(SECONDS, PACKAGES),
        targets=(
            Target("At most 60 s", median(OURS, "seconds"), at_most=60, unit="s"),
            Target(
                "At least 90 % of it in apt and dpkg",
                lambda medians: 100 * medians[OURS]["packages"] / medians[OURS]["seconds"],
                at_least=90,
                unit="%",
                digits=0,
            ),
        ),
        open=bare,
    ),
)
