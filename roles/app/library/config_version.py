#!/usr/bin/python
"""Write one version of an app's config vars, with the secrets that are generated on this host."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: config_version
short_description: Write one version of an app's config vars
description:
  - Renders the config vars as a systemd EnvironmentFile that only root reads, named after the
    first 12 hex digits of its SHA-256, and lets the link C(current) point to it.
  - A version that is there is never changed, so a release that is bound to one keeps it.
options:
  path:
    description: Folder of the versions. It has to be there.
    type: path
    required: true
  values:
    description: Config vars by name.
    type: dict
    required: true
  generate:
    description: Names whose random value is made on this host once, unless O(values) has them.
    type: list
    elements: str
    default: []
  templates:
    description:
      - Config vars by name whose text has C({secret}) in it. That is a random value which is made
        on this host once, kept in C(generated.<name>) beside the versions, and never made anew,
        because a service that reads it there goes on with it. O(values) win.
    type: dict
    default: {}
  rotate:
    description: Whether the values of O(generate) are made anew.
    type: bool
    default: false
  fallback_days:
    description:
      - Days that a value which was made anew is kept beside the new one, under its name followed
        by C(_FALLBACKS), so that what it signed stays valid. The next rotation drops it as well;
        0 means that it counts no more at once.
    type: int
    default: 14
author: The Slipway project
"""

EXAMPLES = r"""
- name: Write the config vars
  config_version:
    path: /etc/locallibrary/config
    values:
      DATABASE_URL: postgres://locallibrary@/locallibrary?host=/run/postgresql
    generate: [DJANGO_SECRET_KEY]
"""

RETURN = r"""
version:
  description: The version that C(current) points to; C(unknown) before a secret is made.
  type: str
  returned: always
"""

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SECRET_BYTES = 48
SECRET = "{secret}"
DAY_SECONDS = 86400


def quote(value: str) -> str:
    """One value as systemd reads it back exactly (systemd.exec(5), EnvironmentFile=).

    Inside double quotes a backslash keeps the meaning of these four characters alone; everything
    else, line ends too, stands for itself.
    """
    return '"' + re.sub(r'([\\"$`])', r"\\\1", value) + '"'


def render(values: Mapping[str, str]) -> str:
    """All config vars as the text of an EnvironmentFile, in the order of their names."""
    return "".join(f"{name}={quote(values[name])}\n" for name in sorted(values))


def version_of(text: str) -> str:
    """The name of a version: it tells two apart, and an unchanged one is the same again."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def mistakes(values: Mapping[str, object]) -> list[str]:
    """What cannot be written, in words, without any value."""
    found = []
    for name, value in values.items():
        if not NAME.fullmatch(name):
            found.append(f"{name!r} is no name of a config var: use letters, digits and _.")
        elif not isinstance(value, str):
            found.append(f"{name} is no text: write its value in quotes.")
        elif "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            found.append(f"{name} holds a NUL or invalid UTF-8: no process takes it.")
    return found


def _write(path: Path, text: str) -> None:
    """Whole or not at all, and readable by root only from its first byte."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _secret(folder: Path, name: str) -> Path:
    """Where the random value of a name is kept."""
    return folder / f"generated.{name}"


def _missing(folder: Path, names: Iterable[str]) -> list[str]:
    """Those of the names that have no random value yet."""
    return [name for name in names if not _secret(folder, name).exists()]


def _rotate(folder: Path, name: str, keep: bool) -> None:
    """Make the value of a name anew. Its present one becomes the fallback, written first."""
    secret, fallback = _secret(folder, name), _secret(folder, f"{name}_FALLBACKS")
    if keep and secret.exists():
        _write(fallback, secret.read_text())
    else:
        fallback.unlink(missing_ok=True)
    _write(secret, secrets.token_urlsafe(SECRET_BYTES))


def _fallback(folder: Path, name: str, days: int) -> dict[str, str]:
    """The config var with the value before the present one, as long as it counts."""
    path = _secret(folder, f"{name}_FALLBACKS")
    if not path.exists() or time.time() - path.stat().st_mtime > days * DAY_SECONDS:
        return {}
    return {f"{name}_FALLBACKS": path.read_text()}


def _filled(folder: Path, templates: Mapping[str, str]) -> dict[str, str]:
    """The config vars with a secret in their text, each made where it is not there yet."""
    values = {}
    for name, text in templates.items():
        secret = _secret(folder, name)
        if not secret.exists():
            _write(secret, secrets.token_urlsafe(SECRET_BYTES))
        values[name] = text.replace(SECRET, secret.read_text())
    return values


def _link(link: Path, target: str) -> None:
    draft = link.with_name(f".{link.name}.{os.getpid()}")
    draft.symlink_to(target)
    draft.replace(link)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "values": {"type": "dict", "required": True, "no_log": True},
            "generate": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "templates": {"type": "dict", "default": {}},
            "rotate": {"type": "bool", "default": False},
            "fallback_days": {"type": "int", "default": 14},
        },
        supports_check_mode=True,
    )
    folder = Path(module.params["path"])
    values: dict[str, str] = dict(module.params["values"])
    found = mistakes(values)
    if found:
        module.fail_json(msg=" ".join(found))
    days = module.params["fallback_days"]
    link = folder / "current"
    before = link.readlink().stem if link.is_symlink() else "none"

    templates = module.params["templates"]
    generate = [name for name in module.params["generate"] if name not in values]
    new = [
        *(generate if module.params["rotate"] else _missing(folder, generate)),
        *_missing(folder, templates),
    ]
    if new and module.check_mode:
        module.exit_json(
            changed=True,
            version="unknown",
            diff={"before": f"{before}\n", "after": f"a version with a new {', '.join(new)}\n"},
        )
    for name in generate:
        if name in new:
            _rotate(folder, name, keep=days > 0)
        values |= {name: _secret(folder, name).read_text(), **_fallback(folder, name, days)}
    values = {**_filled(folder, templates), **values}

    text = render(values)
    version = version_of(text)
    target = folder / f"{version}.env"
    changed = before != version or not target.exists()
    if changed and not module.check_mode:
        _write(target, text)
        _link(link, target.name)
    module.exit_json(
        changed=changed,
        version=version,
        diff={"before": f"{before}\n", "after": f"{version}: {', '.join(sorted(values))}\n"}
        if changed
        else {},
    )


if __name__ == "__main__":
    main()
