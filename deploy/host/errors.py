"""What can go wrong, told by what it left behind."""

from __future__ import annotations

from collections.abc import Sequence


class SlipwayError(Exception):
    """An outcome a person has to read: one sentence, and lines of evidence below it.

    Args:
        message: what is wrong, where, and the next command.
        detail: log lines or findings, printed as they are.
    """

    exit_code = 1
    kind = "error"

    def __init__(self, message: str, detail: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.detail = tuple(detail)


class Refused(SlipwayError):
    """Refused before anything was changed."""

    exit_code = 2
    kind = "refused"


class BackedOut(SlipwayError):
    """Failed, and everything that visitors see is as it was before."""

    exit_code = 3
    kind = "backed out"


class NeedsYou(SlipwayError):
    """Failed in a way that a person has to look at."""

    exit_code = 4
    kind = "needs you"


KINDS: dict[str, type[SlipwayError]] = {
    cls.kind: cls for cls in (SlipwayError, Refused, BackedOut, NeedsYou)
}
