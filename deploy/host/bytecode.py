"""Bytecode, kept by the digest of its source: what has not changed is not compiled again.

Python puts the module's own path into what it loads, so that of one release serves another.
"""

from __future__ import annotations

import compileall
import py_compile
import sys
from collections.abc import Iterable
from functools import partial
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path

from deploy.host import objects
from deploy.host.objects import Tree

# Where Python looks for it.
CACHE = "__pycache__"
# Fewer are compiled sooner than processes for them are started.
FEW = 30

_compile = partial(
    compileall.compile_file,
    quiet=2,
    # Releases do not change, so Python need not look at the source.
    invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
)


def complete(store: Path, tree: Tree, folder: Path) -> None:
    """Bytecode for every module of a tree that is laid out in ``folder``.

    Modules that do not compile (templates with a .py ending, code for another Python) are left to
    fail when they are imported, as they would without bytecode.
    """
    # A folder of the store: what no release links to any more is collected with the objects.
    kept = store / f"{sys.implementation.cache_tag}-{MAGIC_NUMBER.hex()}"
    kept.mkdir(exist_ok=True)
    missing: list[tuple[Path, Path, str]] = []
    made: set[str] = set()
    # Five hundred times in a large project: no place for Path.
    base, ending = str(folder), f".{sys.implementation.cache_tag}.pyc"
    for path, name in tree.items():
        if path.endswith(".py"):
            known = kept / f"{name[:64]}.pyc"
            if objects.as_settled(known, name):
                inside, _, module = f"{base}/{path}".rpartition("/")
                if inside not in made:
                    Path(inside, CACHE).mkdir(exist_ok=True)
                    made.add(inside)
                objects.link(known, f"{inside}/{CACHE}/{module.removesuffix('.py')}{ending}")
            else:
                missing.append((folder / path, known, name))
    _compile_all([str(source) for source, _, _ in missing])
    for source, known, name in missing:
        compiled = Path(cache_from_source(str(source)))
        if compiled.exists():
            known.unlink(missing_ok=True)
            objects.link(compiled, known)
            objects.settle(known, name)


def _compile_all(sources: Iterable[str]) -> None:
    listed = list(sources)
    if len(listed) < FEW:
        for source in listed:
            _compile(source)
    else:
        # Here, because each command would wait for it, and few compile anything.
        from concurrent.futures import ProcessPoolExecutor

        with ProcessPoolExecutor() as pool:
            list(pool.map(_compile, listed, chunksize=FEW))
