"""What site.yml leaves on the controller for the next deploy."""

from pathlib import Path
from typing import Any

import pytest

from deploy import platforms, playbook
from deploy.inventory import VARIABLE, read_target
from deploy.prepared import prepare
from deploy.target import Platform
from tests.unit.test_inventory import FACTS

DROPLET = Platform("3.13", "x86_64")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """How often Ansible was asked to render."""
    found: list[Any] = []

    def ask(*arguments: Any) -> dict[str, Any]:
        found.append(arguments)
        return {"web1": {VARIABLE: FACTS}}

    monkeypatch.setattr(playbook, "ask", ask)
    return found


def test_the_next_deploy_asks_neither_ansible_nor_the_droplet(
    tmp_path: Path, asked: list[Any]
) -> None:
    inventory = tmp_path / "inventory" / "staging.yml"
    inventory.parent.mkdir()
    inventory.touch()
    prepare(tmp_path, inventory, DROPLET)
    target = read_target(tmp_path, "staging")
    assert platforms.known(tmp_path, target) == DROPLET
    assert len(asked) == 1


def test_nothing_is_kept_of_an_inventory_elsewhere(tmp_path: Path, asked: list[Any]) -> None:
    prepare(tmp_path, tmp_path / "hosts" / "staging.yml", DROPLET)
    assert not asked
    assert [*tmp_path.iterdir()] == []
