"""An environment's own facts, `inventory/group_vars/<environment>.yml`, edited in place.

Comments and the order of lines stay. The library that keeps them is imported by who reads the file:
a build mostly asks whether there is one.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.errors import Refused

if TYPE_CHECKING:
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap


def file_of(root: Path, environment: str) -> Path:
    """Where an environment's own facts stand."""
    return root / "inventory" / "group_vars" / f"{environment}.yml"


def load(path: Path) -> CommentedMap:
    """The variables of the file.

    Raises:
        Refused: it is not there, or no YAML with variables.
    """
    from ruamel.yaml.comments import CommentedMap
    from ruamel.yaml.error import YAMLError

    try:
        document = _yaml().load(path.read_text())
    except FileNotFoundError:
        raise Refused(f"There is no {shown(path)}: make it, with the environment's facts") from None
    except YAMLError as error:
        raise Refused(f"{shown(path)} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, CommentedMap):
        raise Refused(f"{shown(path)} holds no variables: write the environment's facts into it")
    return document


def mapping(document: CommentedMap, variable: str, path: Path) -> CommentedMap:
    """The variable's mapping; an empty one when the file does not set it.

    Raises:
        Refused: it is something else.
    """
    from ruamel.yaml.comments import CommentedMap

    values = document.get(variable)
    if values is None:
        return CommentedMap()
    if not isinstance(values, CommentedMap):
        raise Refused(f"{variable} in {shown(path)} is an expression: change it there")
    return values


def text(document: CommentedMap) -> str:
    """The file's text with these variables."""
    written = io.StringIO()
    _yaml().dump(document, written)
    return written.getvalue()


def write(path: Path, text: str) -> None:
    """Whole or not at all, with the permissions that the file has."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.touch(mode=path.stat().st_mode & 0o777)
    draft.write_text(text)
    draft.replace(path)


def shown(path: Path) -> str:
    """The file's name for messages."""
    return str(path.relative_to(path.parents[2]))


def _yaml() -> YAML:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 10_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.explicit_start = True
    return yaml
