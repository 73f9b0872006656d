"""What can go wrong here: one sentence, and lines of evidence."""

from __future__ import annotations

from collections.abc import Sequence


class Trouble(Exception):
    """An end that somebody has to read.

    Args:
        sentence: what is wrong, where, and what to do.
        detail: what a program said, as it is.
    """

    def __init__(self, sentence: str, detail: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.detail = tuple(detail)
