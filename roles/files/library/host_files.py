#!/usr/bin/python
"""Write files and make folders, any number in one call."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import re
import shlex
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: host_files
short_description: Write files and make folders, any number in one call
description:
  - What M(ansible.builtin.template), M(ansible.builtin.copy) and M(ansible.builtin.file) do for one
    path, for a list of them. Each of those costs two to five calls of the host for every path; this
    costs one for all. Contents come by C(lookup('ansible.builtin.template', ...)).
  - A file is written whole or not at all, with owner and mode from its first byte, after its
    O(files[].validate) has passed. A link in the place of a file is replaced; one in the place of a
    folder is refused.
options:
  files:
    description: In this order. The first that fails ends it.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Where, absolute.
        type: path
        required: true
      content:
        description: The file's text. Without it and O(files[].settings) the path is a folder.
        type: str
      settings:
        description:
          - Lines to set in the text that is there, by name, for a file without a folder of
            drop-ins. Each is said once, where it stood first or at the end; comments and other
            lines stay.
        type: dict
      separator:
        description: What stands between name and value of O(files[].settings).
        type: str
        default: "="
      owner:
        description: Name of the user it belongs to.
        type: str
        default: root
      group:
        description: Name of its group.
        type: str
        default: root
      mode:
        description: Its permissions, octal in quotes. C(0644) for a file and C(0755) for a folder.
        type: str
      validate:
        description: Command that has to succeed for the new file, C(%s), before it takes its place.
        type: str
      diff:
        description: Whether differences are shown.
        type: bool
        default: true
attributes:
  check_mode:
    description: Says what would change. No O(files[].validate) runs; what is missing is no error.
    support: full
  diff_mode:
    description: Texts, owners and modes.
    support: full
author: The Slipway project
"""

EXAMPLES = r"""
- name: Render the unit and its drop-in
  host_files:
    files:
      - {path: /etc/systemd/system/web.service.d}
      - path: /etc/systemd/system/web.service.d/limits.conf
        content: "{{ lookup('ansible.builtin.template', 'limits.conf.j2') }}"
"""

RETURN = r"""
paths:
  description: Which of them changed.
  type: list
  returned: always
"""


class Wanted(NamedTuple):
    """One path as it is to be; ``content`` is None for a folder, ids are None for unknown names."""

    path: Path
    content: bytes | None
    names: str
    owner: int | None
    group: int | None
    mode: int
    validate: str | None


class Found(NamedTuple):
    """One path as it is."""

    content: bytes | None
    owner: int
    group: int
    mode: int


class Refused(Exception):
    """Why a path cannot be made so."""


def with_settings(text: str, settings: Mapping[str, Any], separator: str) -> str:
    """``text`` with each setting said once: where it stood first, or at the end.

    A line that is a comment stays; ``separator`` stands between name and value.
    """
    left = {name: f"{name}{separator}{value}" for name, value in settings.items()}
    lines = []
    for line in text.splitlines():
        said = re.match(r"\s*([\w-]+)", line)
        if not said or said[1] not in settings:
            lines.append(line)
        elif said[1] in left:
            lines.append(left.pop(said[1]))
    return "\n".join([*lines, *left.values()]) + "\n"


def wanted(given: dict[str, Any], found: Found | None) -> Wanted:
    """What is asked for a path at which something was found, with the ids of the names."""
    content: bytes | None = None
    if given["settings"] is not None:
        before = (found.content or b"") if found else b""
        text = with_settings(before.decode(), given["settings"], given["separator"])
        content = text.encode()
    elif given["content"] is not None:
        content = given["content"].encode()
    mode = given["mode"] or ("0755" if content is None else "0644")
    return Wanted(
        path=Path(given["path"]),
        content=content,
        names=f"{given['owner']}:{given['group']}",
        owner=_id(lambda name: pwd.getpwnam(name).pw_uid, given["owner"]),
        group=_id(lambda name: grp.getgrnam(name).gr_gid, given["group"]),
        mode=int(mode, 8),
        validate=given["validate"],
    )


def _id(look_up: Callable[[str], int], name: str) -> int | None:
    try:
        return look_up(name)
    except KeyError:
        return None


@contextlib.contextmanager
def _folder(path: Path) -> Iterator[int]:
    """The folder itself, opened: whoever may write beside it cannot put a link in its place."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def find(path: Path, is_folder: bool) -> Found | None:
    """What is at the path; None for nothing, or for a link where a file is to be."""
    try:
        seen = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    kind = stat.S_IFMT(seen.st_mode)
    if is_folder:
        if kind != stat.S_IFDIR:
            raise Refused(f"{path} is no folder. Look what it is, and take it away.")
        content = None
    elif kind == stat.S_IFREG:
        content = path.read_bytes()
    elif kind == stat.S_IFLNK:
        return None
    else:
        raise Refused(f"{path} is no file. Look what it is, and take it away.")
    return Found(content, seen.st_uid, seen.st_gid, stat.S_IMODE(seen.st_mode))


def is_so(found: Found | None, to_be: Wanted) -> bool:
    return found is not None and (found.content, found.owner, found.group, found.mode) == (
        to_be.content,
        to_be.owner,
        to_be.group,
        to_be.mode,
    )


def make(module: AnsibleModule, to_be: Wanted, found: Found | None) -> None:
    """Make the path what it is to be."""
    if to_be.owner is None or to_be.group is None:
        raise Refused(f"{to_be.path} is to belong to {to_be.names}, and one of these is not there.")
    if to_be.content is None:
        if found is None:
            to_be.path.mkdir(mode=0o700, parents=False)
        with _folder(to_be.path) as descriptor:
            os.fchown(descriptor, to_be.owner, to_be.group)
            os.fchmod(descriptor, to_be.mode)
        return
    handle, name = tempfile.mkstemp(prefix=f".{to_be.path.name}.", dir=to_be.path.parent)
    try:
        with os.fdopen(handle, "wb") as draft:
            os.fchown(handle, to_be.owner, to_be.group)
            os.fchmod(handle, to_be.mode)
            draft.write(to_be.content)
            draft.flush()
            os.fsync(handle)
        if to_be.validate and (found is None or found.content != to_be.content):
            code, out, err = module.run_command(to_be.validate.replace("%s", shlex.quote(name)))
            if code != 0:
                said = (err or out).strip().replace(name, str(to_be.path))
                raise Refused(f"{to_be.path} is not valid and stays as it was: {said}")
        Path(name).replace(to_be.path)
    finally:
        Path(name).unlink(missing_ok=True)


def difference(to_be: Wanted, found: Found | None) -> dict[str, str]:
    """Both sides as Ansible shows them: the text, and owner and mode where they differ."""

    def side(content: bytes | None, ids: tuple[int | None, int | None, int]) -> str:
        text = (content or b"").decode(errors="replace")
        owner, group, mode = ids
        return text if same_rights else f"{text}# owner {owner}, group {group}, mode {mode:04o}\n"

    new = (to_be.owner, to_be.group, to_be.mode)
    old = (found.owner, found.group, found.mode) if found else new
    same_rights = found is not None and old == new
    return {
        "before_header": str(to_be.path),
        "after_header": str(to_be.path),
        "before": side(found.content, old) if found else "",
        "after": side(to_be.content, new),
    }


def main() -> None:
    file = {
        "path": {"type": "path", "required": True},
        "content": {"type": "str"},
        "settings": {"type": "dict"},
        "separator": {"type": "str", "default": "="},
        "owner": {"type": "str", "default": "root"},
        "group": {"type": "str", "default": "root"},
        "mode": {"type": "str"},
        "validate": {"type": "str"},
        "diff": {"type": "bool", "default": True},
    }
    module = AnsibleModule(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": file,
                "mutually_exclusive": [("content", "settings")],
            }
        },
        supports_check_mode=True,
        # The journal of the host is no place for the texts of files.
        no_log=True,
    )
    files = module.params["files"]
    # An answer repeats the arguments, and a text may be a secret.
    module.params["files"] = [{**file, "content": None, "settings": None} for file in files]
    paths: list[str] = []
    diff = []
    for given in files:
        path = Path(given["path"])
        is_folder = given["content"] is None and given["settings"] is None
        try:
            found = find(path, is_folder)
            to_be = wanted(given, found)
            if is_so(found, to_be):
                continue
            if not module.check_mode:
                make(module, to_be, found)
        except Refused as reason:
            module.fail_json(msg=str(reason), paths=paths)
        except OSError as error:
            told = os.strerror(error.errno or errno.EIO)
            module.fail_json(msg=f"{error.filename or path}: {told}", paths=paths)
        paths.append(str(path))
        # A task with `diff: false` has something to hide.
        if module._diff and given["diff"]:
            diff.append(difference(to_be, found))
    module.exit_json(changed=bool(paths), paths=paths, diff=diff)


if __name__ == "__main__":
    main()
