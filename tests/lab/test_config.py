"""Config vars from the controller: any text arrives, a bad one changes nothing."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.inventories import with_own_facts
from tests.lab.roles import play
from tests.lab.site import BIN, Done, Site, environment, run

APP = "locallibrary"
AWKWARD = "  'q' \"d\" $HOME `id` %s #no \\ {{ x }} {% raw %} ünï ☃\nsecond line"


ENV = "configured"


@pytest.fixture(scope="module")
def site(debian13: Site) -> Iterator[Site]:
    """The droplet with a release; its config vars are those of before afterwards."""
    before = debian13.git("rev-parse", "HEAD")
    debian13.commit(with_own_facts(debian13, ENV), ENV)
    assert debian13.invoke("deploy", env=ENV).code == 0
    yield debian13
    debian13.git("reset", "--quiet", "--hard", before)
    done = play(debian13, ["app"])
    assert done.code == 0, done
    assert debian13.invoke("deploy").code == 0


def facts(site: Site) -> Path:
    return site.clone / "inventory" / "group_vars" / f"{ENV}.yml"


def seen_by_the_site(site: Site, *names: str) -> list[str | None]:
    code = f"import json, os; print('ENV', json.dumps([os.environ.get(n) for n in {names!r}]))"
    said = site.ask(f"{APP}-manage shell -c {shlex.quote(code)}")
    found: list[str | None] = json.loads(said.split("ENV ", 1)[1])
    return found


def test_any_text_goes_live_and_a_rollback_takes_it_back(site: Site) -> None:
    before = site.release()
    done = site.invoke("config.set", f"GREETING={AWKWARD}", env=ENV)
    assert done.code == 0, done
    after = site.release()
    assert after != before
    assert f"{after} is live with GREETING set" in done.stdout
    assert seen_by_the_site(site, "GREETING") == [AWKWARD]
    assert json.loads(site.invoke("config", "--json", env=ENV).stdout)["GREETING"] == {
        "kind": "value",
        "text": AWKWARD,
    }
    assert site.get("/").status == 200

    assert site.invoke("rollback", env=ENV).code == 0
    assert site.release() == before
    assert seen_by_the_site(site, "GREETING") == [None]
    # What the inventory says waits for the next deploy, and no other change may take it along.
    refused = site.invoke("config.set", "COLOUR=blue", env=ENV)
    assert refused.code == 2, refused
    assert "invoke deploy --revision" in refused.output
    assert site.invoke("deploy", "--revision", "HEAD", env=ENV).code == 0


@pytest.mark.slow
def test_a_secret_comes_from_a_pipe_and_is_shown_nowhere(site: Site, tmp_path: Path) -> None:
    password = tmp_path / "vault-password"
    password.write_text("correct horse\n")
    secret = "canary $1 {{ 2 }} 'x'"
    invoke = f"{BIN}/invoke config.set --secret API_TOKEN --env {ENV}"
    line = f"printf '%s\\n' {shlex.quote(secret)} | {invoke}"
    done = with_vault(site, password, line)
    assert done.code == 0, done
    assert seen_by_the_site(site, "API_TOKEN") == [secret]
    shown = with_vault(site, password, f"{BIN}/invoke config --env {ENV}")
    assert "API_TOKEN  (secret)" in shown.stdout
    assert "canary" not in done.output + shown.output + facts(site).read_text()

    gone = with_vault(site, password, f"{BIN}/invoke config.unset API_TOKEN --env {ENV}")
    assert gone.code == 0, gone
    assert seen_by_the_site(site, "API_TOKEN") == [None]


def with_vault(site: Site, password: Path, line: str) -> Done:
    shell = f"export ANSIBLE_VAULT_PASSWORD_FILE={password}; {line}"
    return run("env", f"PATH={environment()['PATH']}", "sh", "-c", shell, cwd=site.clone)


def test_what_the_site_cannot_start_with_changes_nothing(site: Site) -> None:
    release, text = site.release(), facts(site).read_text()
    config = site.ask(f"{APP}-unit config")
    done = site.invoke("config.set", "DJANGO_ALLOWED_HOSTS=elsewhere.example", env=ENV)
    assert done.code == 3, done
    assert f"inventory/group_vars/{ENV}.yml is as it was before" in done.output
    assert "Traceback" not in done.output.split("failed")[0]
    assert (site.release(), facts(site).read_text()) == (release, text)
    assert site.ask(f"{APP}-unit config") == config
    assert site.get("/").status == 200


def test_before_the_first_deploy_a_change_waits_for_it(site: Site) -> None:
    current, kept = f"/srv/{APP}/current", f"/srv/{APP}/current.kept"
    site.ask(f"mv --no-target-directory {current} {kept}")
    try:
        done = site.invoke("config.set", "COLOUR=green", env=ENV)
    finally:
        site.ask(f"mv --no-target-directory {kept} {current}")
    assert done.code == 0, done
    assert "The first deploy goes live with COLOUR set. Run: invoke deploy" in done.stdout
    assert site.invoke("deploy", "--revision", "HEAD", env=ENV).code == 0
    assert seen_by_the_site(site, "COLOUR") == ["green"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["config.set"], "Say what to set"),
        (["config.set", "COLOUR"], "has no value"),
        (["config.set", "API_KEY=x"], "invoke config.set --secret API_KEY"),
        (["config.unset", "NONE"], "NONE is not set"),
    ],
)
def test_wrong_words_are_refused(site: Site, words: list[str], says: str) -> None:
    text = facts(site).read_text()
    done = site.invoke(*words, env=ENV)
    assert done.code == 2, done
    assert says in done.output
    assert "Traceback" not in done.output
    assert facts(site).read_text() == text
