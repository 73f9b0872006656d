import json
import os
import re
from io import StringIO
from unittest import mock

from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.test import TestCase

from catalog.management.commands.load_catalog import DATA
from catalog.models import Author, Book, BookInstance


def load(*arguments, **environment):
    out = StringIO()
    with mock.patch.dict(os.environ, environment):
        call_command("load_catalog", *arguments, stdout=out)
    return out.getvalue()


class LoadCatalogTests(TestCase):
    def test_every_book_is_as_the_site_would_take_it(self):
        load()
        catalogue = json.loads((DATA / "catalogue.json").read_text(encoding="utf-8"))
        assert Book.objects.count() == len(catalogue["books"])
        for model in (Author, Book, BookInstance):
            for thing in model.objects.all():
                thing.full_clean()
        assert not BookInstance.objects.loans().exists()
        covers = Book.objects.exclude(cover="")
        assert covers
        for book in covers:
            assert default_storage.exists(book.cover.name)

    def test_a_second_run_changes_nothing(self):
        load("--demo-users")
        before = [list(model.objects.values()) for model in (Author, Book, BookInstance, User)]
        output = load("--demo-users")
        after = [list(model.objects.values()) for model in (Author, Book, BookInstance, User)]
        assert before == after
        assert "password" not in output

    def test_loans_belong_to_the_reader(self):
        load()
        load("--demo-users")
        loans = BookInstance.objects.loans()
        assert loans.count() > 5
        assert {loan.borrower.username for loan in loans} == {"reader"}
        assert any(loan.is_overdue for loan in loans)

    def test_passwords_from_the_environment_are_not_printed(self):
        output = load(
            "--demo-users", DEMO_LIBRARIAN_PASSWORD="from-vault-1", DEMO_READER_PASSWORD="vault-2"
        )
        assert "vault" not in output
        assert User.objects.get(username="librarian").check_password("from-vault-1")
        assert self.client.login(username="reader", password="vault-2")

    def test_made_up_passwords_are_printed_once(self):
        first = dict(re.findall(r"User (\w+): password (\S+)", load("--demo-users")))
        assert set(first) == {"librarian", "reader"}
        assert self.client.login(username="librarian", password=first["librarian"])
        assert self.client.get("/loans/").status_code == 200
        again = dict(
            re.findall(r"User (\w+): password (\S+)", load("--demo-users", "--new-passwords"))
        )
        assert first["reader"] != again["reader"]
        assert self.client.login(username="reader", password=again["reader"])

    def test_new_passwords_for_nobody(self):
        with self.assertRaisesMessage(CommandError, "--new-passwords needs --demo-users."):
            load("--new-passwords")
