from datetime import timedelta

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import TestCase
from django.utils import timezone, translation

from catalog.forms import AuthorForm, BookForm, RenewalForm
from catalog.models import BookInstance

from . import library


class RenewalFormTests(TestCase):
    def setUp(self):
        self.today = timezone.localdate()

    def form(self, days):
        return RenewalForm({"due_back": self.today + timedelta(days=days)})

    def test_three_weeks_are_proposed(self):
        form = RenewalForm(instance=BookInstance(due_back=self.today))
        assert form["due_back"].value() == self.today + timedelta(weeks=3)

    def test_from_today_to_four_weeks(self):
        for days in (0, 21, 28):
            with self.subTest(days=days):
                assert ("due_back" in self.form(days).errors) is False

    def test_neither_earlier_nor_later(self):
        self.assertFormError(self.form(-1), "due_back", "This date is in the past.")
        self.assertFormError(self.form(29), "due_back", "This date is more than four weeks ahead.")
        assert RenewalForm({"due_back": ""}).has_error("due_back", "required")

    def test_the_date_field_speaks_iso_in_every_language(self):
        with translation.override("es"):
            html = str(RenewalForm()["due_back"])
            iso = (self.today + timedelta(weeks=3)).isoformat()
            assert 'type="date"' in html
            assert f'value="{iso}"' in html
            assert not RenewalForm({"due_back": iso}).has_error("due_back")


class AuthorFormTests(TestCase):
    def test_dates_in_the_wrong_order(self):
        data = {"last_name": "X", "date_of_birth": "1900-01-02", "date_of_death": "1900-01-01"}
        self.assertFormError(
            AuthorForm(data), None, "Nobody dies before being born: check both dates."
        )


class BookFormTests(TestCase):
    def data(self, **fields):
        emma = library.book()
        return {"title": "Persuasion", "author": emma.author.pk, "language": emma.language.pk} | (
            fields
        )

    def test_the_least_that_is_needed(self):
        form = BookForm(self.data())
        assert form.is_valid(), form.errors

    def test_isbn(self):
        assert "isbn" in BookForm(self.data(isbn="9780141439517")).errors

    def test_a_page_is_no_cover(self):
        upload = SimpleUploadedFile("cover.png", b"<script>alert(1)</script>")
        assert "cover" in BookForm(self.data(), {"cover": upload}).errors
