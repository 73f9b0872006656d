import logging
from unittest import mock

from django.test import SimpleTestCase

from locallibrary import request_id


def id_of(record):
    """The id that a formatter would write."""
    assert request_id.Filter().filter(record)
    return record.request_id


class RequestIdTests(SimpleTestCase):
    def test_a_line_of_django_has_the_id_of_the_web_server(self):
        with self.assertLogs("django.request", "WARNING") as logged:
            self.client.get("/nowhere", headers={"X-Request-ID": "5a1f"})
            self.client.get("/nowhere")
        assert [id_of(record) for record in logged.records] == ["5a1f", "-"]

    def test_a_line_of_a_view_has_it_too(self):
        def view(request):
            return id_of(logging.makeLogRecord({"msg": "borrowed"}))

        answer = request_id.middleware(view)
        assert answer(mock.Mock(headers={request_id.HEADER: "5a1f"})) == "5a1f"
        assert request_id.current.get() == request_id.NO_REQUEST
