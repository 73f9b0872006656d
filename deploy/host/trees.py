"""Trees as text: a deploy writes and reads ten thousand paths several times.

Paths and names take turns, each with NUL behind it, which no path has; before them is how many
there are of both. JSON takes four times as long.
"""

from __future__ import annotations

import hashlib
import os
from itertools import chain

from deploy.host.objects import Tree


def text(tree: Tree) -> bytes:
    return os.fsencode("\0".join((str(2 * len(tree)), *chain.from_iterable(tree.items()), "")))


def parsed(told: bytes) -> dict[str, str]:
    """The other way round of :func:`text`.

    Raises:
        ValueError: it is not whole.
    """
    count, *parts = os.fsdecode(told).split("\0")
    if count != str(len(parts) - 1) or parts.pop():
        raise ValueError("a tree is not whole")
    return dict(zip(parts[::2], parts[1::2], strict=True))


def name(tree: Tree) -> str:
    """What names a tree, here and on the controller, in whichever order it is."""
    return hashlib.sha256(text({path: tree[path] for path in sorted(tree)})).hexdigest()
