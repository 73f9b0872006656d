"""Loads the Python that roles carry: it lives where Ansible looks for it, not on Python's path."""

from __future__ import annotations

import importlib.util
from types import ModuleType

from tests.templates.render import ROOT


def load(path: str) -> ModuleType:
    """The module at a path below roles/."""
    file = ROOT / "roles" / path
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
