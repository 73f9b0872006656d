"""A tree as text is the same tree again, and half of one is none."""

import os

import pytest

from deploy.host import trees
from deploy.host.objects import Tree

TREES: list[Tree] = [
    {},
    {"manage.py": "1x"},
    {"b": "2", "a/a space\n.css": "1", "é.txt": "3", os.fsdecode(b"latin-\xe9"): "4"},
]


@pytest.mark.parametrize("tree", TREES)
def test_a_tree_as_text_is_the_same_tree_again(tree: Tree) -> None:
    assert trees.parsed(trees.text(tree)) == tree


@pytest.mark.parametrize("tree", TREES)
def test_half_a_tree_is_none(tree: Tree) -> None:
    whole = trees.text(tree)
    # Its end is cut off, or a power failure left it without content.
    for end in range(len(whole)):
        with pytest.raises(ValueError, match="not whole"):
            trees.parsed(whole[:end])
        if end < len(whole) - 1:
            with pytest.raises(ValueError, match="not whole"):
                trees.parsed(whole[:end] + bytes(len(whole) - end))


def test_the_name_is_that_of_the_files_in_any_order() -> None:
    one, two = {"a": "1", "b": "2"}, {"b": "2", "a": "1"}
    assert trees.name(one) == trees.name(two)
    assert trees.name(one) != trees.name({**one, "b": "3"})
    assert trees.name(one) != trees.name({"a": "1"})
