"""What the droplet knows of its site, or the command that tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.host.errors import Refused
from deploy.host.site import load


def test_a_droplet_without_facts(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="never provisioned for shop .* ansible-playbook site.yml"):
        load("shop", tmp_path)


def test_facts_of_an_older_playbook(tmp_path: Path) -> None:
    (tmp_path / "shop.json").write_text('{"app": "shop"}')
    with pytest.raises(Refused, match="lacks root, environment, .* ansible-playbook site.yml"):
        load("shop", tmp_path)


def test_facts_that_the_deploy_user_cannot_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    # Root, as whom tests run, may read everything.
    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(Refused, match=r"shop.json cannot be read .* ansible-playbook site.yml"):
        load("shop", tmp_path)
