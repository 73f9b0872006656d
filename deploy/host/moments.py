"""A moment as people write it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from deploy.host.errors import Refused

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
AGO = re.compile(
    r"-?(\d{1,6}) ?(s|m|h|d|w)(?:ec|econds?|in|inutes?|ours?|ays?|eeks?)?(?: ago)?", re.IGNORECASE
)
CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")


def parse(text: str, now: datetime) -> datetime:
    """The moment that ``text`` means; what names no time zone is in UTC.

    "10 min ago", "2h", "yesterday", "09:30" (today's, or yesterday's when that is still to come),
    "2026-11-25", "2026-11-25 09:30".

    Raises:
        Refused: it means none.
    """
    words = text.strip()
    ago = AGO.fullmatch(words)
    if ago:
        return now - timedelta(**{UNITS[ago[2].lower()]: int(ago[1])})
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if words in ("today", "yesterday"):
        return midnight - timedelta(days=words == "yesterday")
    try:
        if CLOCK.fullmatch(words):
            hour, *rest = map(int, words.split(":"))
            moment = midnight.replace(hour=hour, minute=rest[0], second=(rest[1:] or [0])[0])
            return moment if moment <= now else moment - timedelta(days=1)
        moment = datetime.fromisoformat(words)
    except ValueError:
        raise Refused(
            f"{text!r} is no time. Write it like '10 min ago', yesterday, 09:30 or "
            "'2026-11-25 09:30' (UTC)"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
