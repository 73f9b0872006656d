import re
from datetime import date, timedelta

from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.test import SimpleTestCase, TestCase
from django.utils import timezone

from catalog.models import (
    COVER_BYTES,
    Book,
    BookInstance,
    Genre,
    cover_path,
    validate_cover,
    validate_isbn,
)

from . import library


class NameTests(TestCase):
    def test_names(self):
        austen = library.author()
        emma = library.book(by=austen)
        assert str(austen) == "Austen, Jane"
        assert austen.full_name == "Jane Austen"
        assert str(library.author("", "Homer")) == "Homer"
        assert str(emma) == "Emma"
        assert str(library.copy(emma)) == "Emma (Penguin, 2002)"
        assert emma.get_absolute_url() == f"/books/{emma.pk}/"
        assert austen.get_absolute_url() == f"/authors/{austen.pk}/"

    def test_names_of_genres_are_unique_whatever_their_case(self):
        Genre.objects.create(name="Novel")
        with self.assertRaisesMessage(ValidationError, "This name is already taken."):
            Genre(name="NOVEL").full_clean()
        with self.assertRaisesMessage(IntegrityError, "genre_name_unique"), transaction.atomic():
            Genre.objects.create(name="novel")


class AuthorTests(TestCase):
    def test_death_comes_after_birth(self):
        austen = library.author(date_of_birth=date(1775, 12, 16))
        austen.date_of_death = date(1770, 1, 1)
        with self.assertRaisesMessage(ValidationError, "Nobody dies before being born"):
            austen.full_clean()

    def test_an_author_with_books_stays(self):
        emma = library.book()
        with self.assertRaisesMessage(ProtectedError, "'Author'"):
            emma.author.delete()


class BookTests(TestCase):
    def test_search_needs_every_word_in_title_or_author(self):
        emma = library.book()
        library.book("Persuasion", by=emma.author)
        library.book("Middlemarch", by=library.author("George", "Eliot"))
        self.assertQuerySetEqual(Book.objects.search("austen emm"), [emma])
        assert Book.objects.search("austen").count() == 2
        assert Book.objects.search("").count() == 3

    def test_copies_are_counted(self):
        emma = library.book()
        library.copy(emma)
        library.copy(emma, BookInstance.Status.MAINTENANCE)
        library.book("A Room", by=emma.author)
        counted = Book.objects.with_copies()
        assert [(b.title, b.copy_count, b.available_count) for b in counted] == [
            ("A Room", 0, 0),
            ("Emma", 2, 1),
        ]

    def test_two_books_without_isbn_but_not_two_with_the_same(self):
        austen = library.author()
        library.book("Emma", by=austen)
        library.book("Persuasion", by=austen)
        library.book("Pride and Prejudice", by=austen, isbn="9780141439518")
        with self.assertRaisesMessage(IntegrityError, "isbn"), transaction.atomic():
            library.book("Pride", by=austen, isbn="9780141439518")


class IsbnTests(SimpleTestCase):
    def test_isbn(self):
        validate_isbn("9780141439518")
        for wrong in ("9780141439517", "978014143951", "978-0141439518", "97801414395١8"):
            with self.subTest(wrong), self.assertRaisesMessage(ValidationError, "ISBN"):
                validate_isbn(wrong)


class CoverTests(SimpleTestCase):
    def test_pictures_pass(self):
        for name, content in {
            "a.png": library.PNG,
            "a.JPG": b"\xff\xd8\xff\xe0",
            "a.jpeg": b"\xff\xd8\xff\xe0",
            "a.webp": b"RIFF\x10\0\0\0WEBPVP8 ",
        }.items():
            with self.subTest(name):
                upload = SimpleUploadedFile(name, content)
                validate_cover(upload)
                assert upload.read() == content, "the upload must be read from its start"

    def test_others_do_not(self):
        for name, content in {
            "a.png": b"<svg onload=alert(1)>",
            "a.svg": b"<svg/>",
            "a.html": library.PNG,
            "a.jpg": library.PNG,
            "a.webp": b"RIFF\x10\0\0\0WAVEfmt ",
            "png": library.PNG,
            "a.gif": b"",
        }.items():
            with self.subTest(name), self.assertRaisesMessage(ValidationError, "JPEG, PNG"):
                validate_cover(SimpleUploadedFile(name, content))

    def test_large_ones_do_not(self):
        big = ContentFile(library.PNG + b"\0" * COVER_BYTES, name="a.png")
        with self.assertRaisesMessage(ValidationError, "2 MB"):
            validate_cover(big)

    def test_stored_names_are_our_own(self):
        assert re.search(r"^covers/[0-9a-f]{32}\.png$", cover_path(None, "../../My Cover.PNG"))


class CopyTests(TestCase):
    def setUp(self):
        self.reader = library.reader()

    def test_overdue_begins_the_day_after(self):
        today = timezone.localdate()
        for days, overdue in ((-1, True), (0, False), (1, False)):
            copy = BookInstance(status="o", due_back=today + timedelta(days=days))
            assert copy.is_overdue is overdue
        assert not BookInstance(status="m", due_back=date(2000, 1, 1)).is_overdue

    def test_a_loan_needs_borrower_and_date(self):
        with (
            self.assertRaisesMessage(IntegrityError, "loan_has_borrower_and_date"),
            transaction.atomic(),
        ):
            library.copy(status=BookInstance.Status.ON_LOAN)
        loose = BookInstance(book=library.book("Other"), imprint="x", status="o")
        with self.assertRaisesMessage(ValidationError, "needs a borrower and a due date"):
            loose.full_clean()

    def test_lend_and_take_back(self):
        copy = library.copy()
        copy.lend(self.reader, timezone.localdate())
        self.assertQuerySetEqual(BookInstance.objects.loans(), [copy])
        self.assertQuerySetEqual(BookInstance.objects.available(), [])
        copy.take_back()
        copy.refresh_from_db()
        assert (copy.status, copy.borrower, copy.due_back) == ("a", None, None)

    def test_the_most_urgent_loan_comes_first(self):
        emma = library.book()
        late, later = library.loan(self.reader, emma, 9), library.loan(self.reader, emma, 20)
        urgent = library.loan(self.reader, emma, -3)
        self.assertQuerySetEqual(BookInstance.objects.loans(), [urgent, late, later])

    def test_a_reader_with_loans_stays(self):
        library.loan(self.reader)
        with self.assertRaisesMessage(ProtectedError, "'User'"):
            self.reader.delete()
