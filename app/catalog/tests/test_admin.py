from django.contrib.auth.models import Group
from django.test import TestCase

from catalog.models import BookInstance

from . import library


class AdminTests(TestCase):
    def setUp(self):
        librarian = library.librarian()
        librarian.is_staff = True
        librarian.save()
        self.client.force_login(librarian)
        self.reader = library.reader()
        self.loan = library.loan(self.reader)

    def test_every_page_opens(self):
        book = self.loan.book
        for path in (
            "",
            "catalog/author/",
            "catalog/book/?q=emma",
            "catalog/genre/",
            "catalog/language/add/",
            "catalog/bookinstance/?status__exact=o",
            f"catalog/author/{book.author.pk}/change/",
            f"catalog/book/{book.pk}/change/",
            f"catalog/bookinstance/{self.loan.pk}/change/",
        ):
            with self.subTest(path):
                assert self.client.get(f"/admin/{path}").status_code == 200

    def test_librarians_lend_copies(self):
        data = {
            "book": self.loan.book.pk,
            "imprint": "Penguin, 2002",
            "status": "o",
            "borrower": self.reader.pk,
            "due_back": "2030-01-01",
        }
        response = self.client.post("/admin/catalog/bookinstance/add/", data)
        self.assertRedirects(response, "/admin/catalog/bookinstance/")
        assert self.reader.loans.count() == 2

    def test_a_loan_without_borrower_is_refused(self):
        data = {"book": self.loan.book.pk, "imprint": "x", "status": "o"}
        response = self.client.post("/admin/catalog/bookinstance/add/", data)
        self.assertContains(response, "A copy on loan needs a borrower and a due date.")
        assert BookInstance.objects.count() == 1

    def test_librarians_come_with_the_database(self):
        permissions = Group.objects.get(name="Librarians").permissions
        names = set(permissions.values_list("codename", flat=True))
        assert {"add_book", "delete_author", "can_mark_returned"} <= names
        assert set(permissions.values_list("content_type__app_label", flat=True)) == {"catalog"}
