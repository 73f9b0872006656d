import re

from django.core import mail
from django.test import TestCase

from . import library

PASSWORD = "shelf-marks-9"


class AccountTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.reader = library.reader()

    def log_in(self, password=PASSWORD, **data):
        return self.client.post(
            "/accounts/login/", {"username": "reader", "password": password} | data
        )

    def test_log_in_leads_home_or_where_one_wanted_to_go(self):
        self.assertRedirects(self.log_in(), "/")
        self.assertRedirects(self.log_in(next="/loans/mine/"), "/loans/mine/")
        self.assertRedirects(self.log_in(next="https://evil.example/"), "/")

    def test_wrong_password(self):
        self.assertContains(self.log_in("wrong"), "Please enter a correct username")

    def test_logging_out_takes_a_post(self):
        self.client.force_login(self.reader)
        assert self.client.get("/accounts/logout/").status_code == 405
        self.assertContains(self.client.post("/accounts/logout/"), "You are logged out")
        assert "_auth_user_id" not in self.client.session

    def test_a_forgotten_password(self):
        response = self.client.post(
            "/accounts/password_reset/", {"email": "reader@example.org"}, follow=True
        )
        self.assertContains(response, "Look into your mail")
        [message] = mail.outbox
        assert message.subject == "A new password for LocalLibrary"
        assert message.to == ["reader@example.org"]
        link = re.search(r"http://testserver(\S+)", message.body)[1]
        form = self.client.get(link, follow=True)
        address = form.redirect_chain[-1][0]
        new = {"new_password1": "other-shelf-7", "new_password2": "other-shelf-7"}
        self.assertContains(self.client.post(address, new, follow=True), "Your new password is set")
        self.assertRedirects(self.log_in("other-shelf-7"), "/")
        self.client.logout()
        self.assertContains(self.client.get(link, follow=True), "too old")

    def test_a_stranger_learns_nothing(self):
        response = self.client.post(
            "/accounts/password_reset/", {"email": "nobody@example.org"}, follow=True
        )
        self.assertContains(response, "Look into your mail")
        assert mail.outbox == []

    def test_a_new_password(self):
        self.client.force_login(self.reader)
        data = {
            "old_password": PASSWORD,
            "new_password1": "other-shelf-7",
            "new_password2": "other-shelf-7",
        }
        response = self.client.post("/accounts/password_change/", data, follow=True)
        self.assertContains(response, "Your password is changed")
