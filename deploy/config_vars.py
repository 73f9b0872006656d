"""Config vars in the inventory: `app_config_vars` of an environment's own file.

What Ansible would take for a template is marked !unsafe, so that any text reaches the site as it
is; a secret becomes a !vault value.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap, TaggedScalar
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from deploy import facts_file
from deploy.errors import Refused

VARIABLE = "app_config_vars"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
TEMPLATE = re.compile(r"\{[{%#]")
# Names whose values are rarely meant for a shell's history.
SECRET = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL|(^|_)KEY$|(^|_)DSN$", re.IGNORECASE)
# What YAML 1.1, and so Ansible, takes for something else than text.
NO_TEXT = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
VAULT_PASSWORD = "ANSIBLE_VAULT_PASSWORD_FILE"


@dataclass(frozen=True)
class Value:
    """One config var: ``text`` is None for what is shown to nobody."""

    kind: str
    text: str | None


def pairs(words: Iterable[str], plain: bool) -> dict[str, str]:
    """NAME=VALUE words as a mapping.

    Args:
        plain: take values of names that sound like a secret's as well.

    Raises:
        Refused: a word is no pair, a name is none, or a value should not be on a command line.
    """
    given = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise Refused(f"{word!r} has no value. Write NAME=VALUE: invoke config.set COLOUR=blue")
        given[checked_name(name)] = value
        if SECRET.search(name) and not plain:
            raise Refused(
                f"{name} sounds like a secret, and a command line is read by others and kept by "
                f"shells. Run: invoke config.set --secret {name}, or add --plain"
            )
    return given


def checked_name(name: str) -> str:
    """The name, if it can be one of a config var."""
    if not NAME.fullmatch(name):
        raise Refused(f"{name!r} is no name of a config var: use letters, digits and _")
    return name


def listed(path: Path) -> dict[str, Value]:
    """The config vars that the file sets; those of secrets without their values."""
    values = {}
    for name, value in facts_file.mapping(facts_file.load(path), VARIABLE, path).items():
        if isinstance(value, TaggedScalar) and value.tag.value == "!vault":
            values[str(name)] = Value("secret", None)
        elif isinstance(value, str) and TEMPLATE.search(value):
            values[str(name)] = Value("expression", str(value))
        else:
            text = value.value if isinstance(value, TaggedScalar) else value
            values[str(name)] = Value("value", str(text))
    return values


def changed(
    path: Path, values: Mapping[str, str], secrets: Mapping[str, str], remove: Iterable[str]
) -> str:
    """The file's text with config vars set and removed.

    Args:
        secrets: those that are encrypted, with the project's vault password.

    Raises:
        Refused: the file cannot be edited, a name to remove is not there, or there is no vault
            password.
    """
    document = facts_file.load(path)
    present = facts_file.mapping(document, VARIABLE, path)
    for name in remove:
        if name not in present:
            known = ", ".join(present) or "none"
            raise Refused(f"{name} is not set in {facts_file.shown(path)}; there are: {known}")
        del present[name]
    for name, value in values.items():
        present[_key(name)] = _scalar(name, value)
    for name, value in secrets.items():
        present[_key(name)] = _encrypted(path, name, value)
    if not isinstance(document.get(VARIABLE), CommentedMap):
        document[VARIABLE] = present
    return facts_file.text(document)


def _key(name: str) -> str:
    return DoubleQuotedScalarString(name) if name.lower() in NO_TEXT else name


def _scalar(name: str, value: str) -> Any:
    if "\0" in value:
        raise Refused(f"{name} holds a NUL, which no process takes")
    if TEMPLATE.search(value):
        # Ansible must not render it.
        return TaggedScalar(value=value, style='"', tag="!unsafe")
    return DoubleQuotedScalarString(value)


def _encrypted(path: Path, name: str, value: str) -> Any:
    """A vault value, made by ansible-vault, which reads the secret from a pipe."""
    if "\0" in value:
        raise Refused(f"{name} holds a NUL, which no process takes")
    done = subprocess.run(
        (Path(sys.executable).with_name("ansible-vault"), "encrypt_string"),
        input=value,
        cwd=path.parents[2],
        capture_output=True,
        text=True,
        start_new_session=True,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason"])[-1].rstrip(".")
        raise Refused(
            f"{name} cannot be encrypted: {reason}. "
            f"Keep the vault password in a file outside the repository and set {VAULT_PASSWORD}"
        )
    lines = done.stdout.split("!vault |", 1)[1].split()
    return TaggedScalar(value=LiteralScalarString("\n".join(lines) + "\n"), style="|", tag="!vault")
