"""A plan says what a deploy changes and changes nothing; a deploy is held to it, or refuses."""

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.faults.inside import settle
from tests.lab.faults.test_schema import NOT_NULL, NULLABLE, column_there, commit, schema_put_back
from tests.lab.roles import play
from tests.lab.site import BIN, ROOT, Done, Site, environment, run

APP = "locallibrary"
REQUIREMENTS = "app/requirements.txt"
# Everything that releases and the playbook make, with the moment of each change. Who takes the lock
# writes their name into it.
TREE = (
    f"find /srv/{APP} /etc /usr/local /run/{APP} ! -path /srv/{APP}/lock "
    "-printf '%p %T@ %s %n %l\\n' | LC_ALL=C sort"
)
VARS = {"EMAIL_HOST": "canary-mail.example.org"}
MIGRATION = "catalog.0004_shelf"


@pytest.fixture(scope="module")
def site(debian13: Site) -> Iterator[Site]:
    """The droplet with a release; its config vars are those of before afterwards."""
    assert debian13.invoke("deploy").code == 0
    yield debian13
    assert play(debian13, ["app"]).code == 0
    assert debian13.invoke("deploy").code == 0


@pytest.fixture
def as_before(site: Site) -> Iterator[None]:
    """The clone's revision is put back after the test."""
    revision = site.git("rev-parse", "HEAD")
    yield
    site.git("reset", "--quiet", "--hard", revision)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "release.plan"


@contextmanager
def untouched(site: Site) -> Iterator[None]:
    """Nothing on the droplet is another afterwards."""
    settle(site)
    before = site.ask(TREE)
    yield
    changed = {*before.splitlines()} ^ {*site.ask(TREE).splitlines()}
    assert changed == set()


def planned(site: Site, *options: str) -> dict[str, Any]:
    done = site.invoke("plan", "--no-host", "--json", *options)
    assert done.code == 0, done
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def package(name: str) -> str:
    """A package as this project's own lock has it, with its hashes."""
    text = (ROOT / "requirements.txt").read_text()
    found = re.search(rf"^{name}==(?:.*\\\n)+.*\n", text, re.MULTILINE)
    assert found
    return found[0]


def test_a_plan_without_a_change_says_so(site: Site) -> None:
    with untouched(site):
        done = site.invoke("plan", "--no-host")
    assert done.code == 0, done
    assert "deploy      changes nothing: this revision is live" in done.stdout
    assert planned(site)["changed"] is False


def test_a_plan_names_everything_and_a_deploy_does_just_that(
    site: Site, as_before: None, out: Path
) -> None:
    old = site.release()
    lock = (site.clone / REQUIREMENTS).read_text() + package("toml")
    site.commit({REQUIREMENTS: lock}, "Read [bold]TOML[/bold]")
    assert play(site, ["app"], app_config_vars=VARS).code == 0
    with untouched(site):
        done = site.invoke("plan", "--no-host", "--out", str(out))
    assert done.code == 0, done
    for said in (
        f"live        {old}",
        "commits     1 commit",
        "Read [bold]TOML[/bold] (Lab)",
        "packages    toml 0.10.2 added",
        "config      EMAIL_HOST added",
        "have to be free",
        "host        not looked at",
    ):
        assert said in done.stdout, done
    assert "canary" not in done.output
    assert "canary" not in out.read_text()

    done = site.invoke("deploy", "--plan-file", str(out))
    assert done.code == 0, done
    new = site.release()
    assert new != old

    # The same plan is of a world that is gone.
    with untouched(site):
        refused(site, out, f"{new} is live, and was {old}")
    listed = site.invoke("releases")
    told = "1 commit, toml 0.10.2 added, config EMAIL_HOST"
    assert told in listed.stdout, listed
    all_of_one = site.invoke("releases", new)
    assert f"changes     against {old}" in all_of_one.stdout, all_of_one
    for said in ("Read [bold]TOML[/bold] (Lab)", "toml 0.10.2 added", "config EMAIL_HOST added"):
        assert said in all_of_one.stdout
    facts = json.loads(site.invoke("releases", new, "--json").stdout)
    assert facts["changes"]["config"] == [{"name": "EMAIL_HOST", "kind": "added"}]
    assert len(facts["commits"]["new"]) == 1
    on_droplet = site.ask(f"slipway {APP} releases")
    assert "    toml 0.10.2 added, config EMAIL_HOST" in on_droplet.splitlines()
    unknown = site.invoke("releases", "2019")
    assert unknown.code == 2
    assert "No release 2019; there are: " in unknown.stderr

    back = site.invoke("rollback")
    assert back.code == 0, back
    before_the_switch = back.stderr.partition("switch")[0]
    assert f"{new} -> {old}: toml 0.10.2 removed, config EMAIL_HOST" in before_the_switch, back
    assert "without 1 commit" in before_the_switch
    assert "- " in before_the_switch
    assert "canary" not in listed.output + all_of_one.output + on_droplet + back.output


def test_migrations_are_judged_and_nothing_of_it_stays(
    site: Site, as_before: None, out: Path
) -> None:
    old, listed = site.release(), releases(site)
    bindings = site.ask(f"ls /etc/{APP}/releases")
    commit(site, NULLABLE)
    with schema_put_back(site):
        done = site.invoke("plan", "--no-host", "--out", str(out))
        assert done.code == 0, done
        assert f"migrations  {MIGRATION}  the live release lives with it" in done.stdout, done
        assert 'ALTER TABLE "catalog_genre" ADD COLUMN "shelf"' in done.stdout
        assert "was pushed for it and removed again" in done.stdout
        assert (site.release(), releases(site)) == (old, listed)
        assert site.ask(f"ls /etc/{APP}/releases") == bindings
        assert not column_there(site)
        # What was sent for the judgement need not be sent again.
        assert planned(site)["disk"]["bytes"] == 0

        tampered(out, {"migrations": []})
        refused(site, out, f"the migrations to apply are {MIGRATION}, and were none")
        tampered(out, {"migrations": [MIGRATION]})
        done = site.invoke("deploy", "--plan-file", str(out))
        assert done.code == 0, done
        assert column_there(site)
        assert "1 migration" in site.invoke("releases").stdout
        # The older code lives with it, so going back leaves it there, and it is not planned again.
        assert site.invoke("rollback").code == 0
        with untouched(site):
            assert planned(site)["plan"]["migrations"] == []


@pytest.mark.slow
def test_a_migration_that_breaks_the_live_release_is_told_before(
    site: Site, as_before: None
) -> None:
    old = site.release()
    commit(site, NOT_NULL)
    with schema_put_back(site):
        found = planned(site)
        (pending,) = found["pending"]
        assert pending["breaks"]
        assert f"1 migrations would break {old}" in found["refusals"][0]
        # A release that waits is judged as it is, and stays.
        assert site.invoke("push").code == 0
        with untouched(site):
            again = planned(site)
        assert (again["pending"], again["judged_with"]) == (found["pending"], "")


@pytest.mark.slow
def test_a_plan_holds_only_where_and_while_it_is_true(
    site: Site, as_before: None, out: Path
) -> None:
    assert play(site, ["app"]).code == 0
    site.commit({"app/CHANGES.txt": "planned\n"}, "Planned")
    assert site.invoke("plan", "--no-host", "--out", str(out)).code == 0
    whole = out.read_text()
    with untouched(site):
        tampered(out, {"artifact": "f" * 64})
        refused(site, out, "builds to another artifact")
        out.write_text(whole)
        tampered(out, {"environment": "elsewhere"})
        refused(site, out, "The plan is for elsewhere")
        out.write_text("")
        refused(site, out, f"{out} is no plan: it is not JSON. Make one: invoke plan --out {out}")
        out.unlink()
        refused(site, out, "cannot be read: No such file or directory")
    out.write_text(whole)
    facts = site.clone / "inventory" / "group_vars" / "local.yml"
    text = facts.read_text()
    facts.write_text(f"{text}\n# changed\n")
    with untouched(site):
        refused(site, out, "the inventory was changed")
    facts.write_text(text)
    # The playbook wrote other config vars.
    before = site.ask(f"{APP}-unit config")
    assert play(site, ["app"], app_config_vars={"COLOUR": "blue"}).code == 0
    with untouched(site):
        refused(site, out, f"and were of {before}")
    assert play(site, ["app"]).code == 0
    site.commit({"app/CHANGES.txt": "something else\n"}, "Something else")
    done = site.invoke("deploy", "--plan-file", str(out))
    assert done.code == 0, done
    # The plan's revision, not the newest one.
    assert site.release().endswith(site.git("rev-parse", "--short=7", "HEAD~1"))


@pytest.mark.slow
def test_changes_of_the_host_are_shown_and_hold_a_deploy_up(
    site: Site, as_before: None, out: Path
) -> None:
    assert play(site, ["app"]).code == 0
    unit = f"/etc/systemd/system/{APP}-web@.service"
    site.ask(f"echo '# by hand' >> {unit}")
    site.commit({"app/CHANGES.txt": "with a host\n"}, "With a host")
    with untouched(site):
        done = site.invoke("plan", "--out", str(out))
        assert done.code == 0, done
        assert f"            {unit}" in done.stdout, done
        assert "                -# by hand" in done.stdout
        refused(site, out, "has changes of the host, which a deploy does not make")
    assert site.play().code == 0
    done = site.invoke("deploy", "--plan-file", str(out))
    assert done.code == 0, done
    with untouched(site):
        again = site.invoke("plan")
    assert "deploy      changes nothing" in again.stdout, again
    assert "host        ansible-playbook site.yml changes nothing" in again.stdout


@pytest.mark.slow
def test_a_secret_is_on_no_page(site: Site, as_before: None, out: Path, tmp_path: Path) -> None:
    """Set and not yet live, live, and taken back: only its name is ever seen."""
    inventory = site.clone / "inventory"
    hosts = yaml.safe_load((inventory / f"{site.name}.yml").read_text())
    text = f"---\n{yaml.safe_dump({'secretive': {'children': hosts}})}"
    facts = "---\napp_config_vars: {}\n"
    site.commit(
        {"inventory/secretive.yml": text, "inventory/group_vars/secretive.yml": facts}, "Secretive"
    )
    assert site.invoke("deploy").code == 0
    password = tmp_path / "vault-password"
    password.write_text("correct horse\n")

    def invoke(line: str) -> Done:
        shell = f"export ANSIBLE_VAULT_PASSWORD_FILE={password}; {line} --env secretive"
        return run("env", f"PATH={environment()['PATH']}", "sh", "-c", shell, cwd=site.clone)

    secret = 'canary1\nCANARY2="canary3"\n'
    said = invoke(f"printf %s {shlex.quote(secret)} | {BIN}/invoke config.set --secret API_TOKEN")
    assert said.code == 0, said
    site.git("commit", "--quiet", "--all", "--message", "A secret")
    outputs = [said, site.invoke("releases"), site.invoke("releases", site.release(), "--json")]
    assert "config API_TOKEN" in outputs[1].stdout
    assert site.invoke("rollback").code == 0
    pages = [invoke(f"invoke plan --out {out}"), invoke("invoke plan --json")]
    assert "config      API_TOKEN added" in pages[0].stdout, pages[0]
    for done in (*outputs, *pages):
        assert done.code == 0, done
        assert "canary" not in done.output.lower().replace("example", ""), done
    assert "canary" not in out.read_text().lower()
    assert "canary" not in site.ask(f"cat /srv/{APP}/deploys.jsonl")


def releases(site: Site) -> list[str]:
    return [release["id"] for release in site.json("releases")]


def tampered(path: Path, changes: dict[str, Any]) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refused(site: Site, out: Path, said: str) -> None:
    """A deploy by the plan is one sentence, and what was live is live."""
    live = site.release()
    done = site.invoke("deploy", "--plan-file", str(out))
    assert done.code == 2, done
    assert said in done.stderr, done
    assert "Traceback" not in done.output
    assert site.release() == live
