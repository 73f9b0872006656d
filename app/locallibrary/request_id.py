"""The id that the web server gave a request, in every line that is logged while it is answered."""

import logging
from contextvars import ContextVar

HEADER = "X-Request-ID"
NO_REQUEST = "-"
current = ContextVar("request_id", default=NO_REQUEST)


def middleware(get_response):
    """Keep the header, which no client can set, for as long as the request lasts."""

    def answer(request):
        token = current.set(request.headers.get(HEADER, NO_REQUEST))
        try:
            return get_response(request)
        finally:
            current.reset(token)

    return answer


class Filter(logging.Filter):
    """Give each record its ``request_id``.

    Django logs an answer of 4xx when the middlewares are through, with the request in the record.
    """

    def filter(self, record):
        headers = getattr(getattr(record, "request", None), "headers", {})
        record.request_id = headers.get(HEADER, current.get())
        return True
