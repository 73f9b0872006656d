"""Lists that may have a million rows: how many there are, and one page of them."""

import hashlib

from django.core.cache import cache
from django.core.paginator import Paginator

# Up to here a number is counted at each request; a larger one may be so many seconds old.
MANY = 1000
MOMENT = 60


def count(rows):
    """How many rows there are. A large number is at most a minute old."""
    rows = rows.order_by()
    key = f"count-{hashlib.sha256(str(rows.query).encode()).hexdigest()}"
    if (known := cache.get(key)) is not None:
        return known
    if (some := rows[: MANY + 1].count()) <= MANY:
        return some
    return cache.get_or_set(key, rows.count, MOMENT)


class LongPaginator(Paginator):
    """Finds the keys of a page's rows in the index of their order, from the nearer end, and reads
    only these rows."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.count = count(self.object_list)

    def page(self, number):
        number = self.validate_number(number)
        begin = (number - 1) * self.per_page
        end = min(begin + self.per_page, self.count)
        keys = self.object_list.values("pk")
        if begin > self.count // 2:
            keys = keys.reverse()[self.count - end : self.count - begin]
        else:
            keys = keys[begin:end]
        return self._get_page(self.object_list.filter(pk__in=keys), number, self)
