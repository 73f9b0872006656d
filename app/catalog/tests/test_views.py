import re
from datetime import timedelta
from unittest import mock

from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError
from django.test import TestCase
from django.urls import reverse
from django.utils import timezone

from catalog.models import Author, Book, BookInstance, Genre

from . import library


class HomeTests(TestCase):
    def test_an_empty_library(self):
        self.assertContains(self.client.get("/"), "The shelves are still empty.")

    def test_counts(self):
        emma = library.book()
        library.copy(emma)
        library.copy(emma, BookInstance.Status.RESERVED)
        context = self.client.get("/").context
        counts = {name: context[name] for name in ("books", "copies", "available", "authors")}
        assert counts == {"books": 1, "copies": 2, "available": 1, "authors": 1}

    def test_visits_are_counted_for_each_visitor(self):
        self.assertContains(self.client.get("/"), "This is your first visit")
        self.assertContains(self.client.get("/"), "You have been here 2 times.")
        self.client.cookies.clear()
        self.assertContains(self.client.get("/"), "This is your first visit")

    def test_genres_with_books_in_order(self):
        emma = library.book()
        for name in ("Romance", "Novel", "Empty"):
            genre = Genre.objects.create(name=name)
            if name != "Empty":
                emma.genres.add(genre)
        genres = self.client.get("/").context["genres"]
        assert [genre.name for genre in genres] == ["Novel", "Romance"]


class BookListTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.author = library.author()
        cls.novel = Genre.objects.create(name="Novel")
        for number in range(14):
            book = library.book(f"Book {number:02}", by=cls.author)
            library.copy(book)
            if number < 13:
                book.genres.add(cls.novel)

    def test_pages(self):
        first, second = self.client.get("/books/"), self.client.get("/books/?page=2")
        assert len(first.context["book_list"]) == 12
        assert [book.title for book in second.context["book_list"]] == ["Book 12", "Book 13"]
        self.assertContains(second, 'href="?page=2" aria-current="page"')

    def test_a_page_that_does_not_exist(self):
        for page in ("9", "0", "x"):
            assert self.client.get(f"/books/?page={page}").status_code == 404

    def test_the_number_of_queries_does_not_grow(self):
        with self.assertNumQueries(3):  # count, books, genres
            self.client.get("/books/")

    def test_search_and_genre_stay_in_the_links_of_pages(self):
        response = self.client.get("/books/", {"q": "book", "genre": self.novel.pk})
        assert response.context["paginator"].count == 13
        self.assertContains(response, f'href="?q=book&amp;genre={self.novel.pk}&amp;page=2"')

    def test_what_is_searched_for_is_escaped(self):
        response = self.client.get("/books/", {"q": "<script>\0"})
        self.assertContains(response, "No book matches.")
        self.assertContains(response, "&lt;script&gt;")
        self.assertNotContains(response, "<script>")

    def test_a_genre_that_does_not_exist_is_ignored(self):
        for genre in ("999", "x", "²", "9" * 30):
            response = self.client.get("/books/", {"genre": genre})
            assert response.context["paginator"].count == 14


class DetailTests(TestCase):
    def test_book(self):
        emma = library.book(summary="Clever <and> rich.", year=1815)
        library.loan(library.reader(), emma)
        response = self.client.get(emma.get_absolute_url())
        self.assertContains(response, "Clever &lt;and&gt; rich.")
        self.assertContains(response, "On loan")
        self.assertContains(response, "due back")
        self.assertNotContains(response, "reader")
        self.assertNotContains(response, reverse("catalog:book-edit", args=[emma.pk]))

    def test_author(self):
        emma = library.book()
        response = self.client.get(emma.author.get_absolute_url())
        self.assertContains(response, "Jane Austen")
        self.assertContains(response, emma.get_absolute_url())

    def test_authors_in_pages(self):
        for number in range(13):
            library.author("A", f"Name {number:02}")
        response = self.client.get("/authors/?page=2")
        self.assertContains(response, "Name 12")

    def test_not_found(self):
        response = self.client.get("/books/4711/")
        self.assertContains(response, "not on our shelves", status_code=404)


class LoanTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.reader, cls.librarian = library.reader(), library.librarian()
        cls.loan = library.loan(cls.reader, days=-2)
        cls.other = library.loan(
            library.reader("other"), library.book("Persuasion", by=cls.loan.book.author)
        )
        cls.renew = reverse("catalog:renew", args=[cls.loan.pk])
        cls.take_back = reverse("catalog:return", args=[cls.loan.pk])

    def test_my_loans_are_mine_alone(self):
        self.client.force_login(self.reader)
        response = self.client.get("/loans/mine/")
        self.assertContains(response, "Emma")
        self.assertContains(response, "Overdue")
        self.assertNotContains(response, "Persuasion")

    def test_visitors_are_asked_to_log_in(self):
        for url in ("/loans/mine/", "/loans/", self.renew):
            self.assertRedirects(self.client.get(url), f"/accounts/login/?next={url}")

    def test_readers_may_not_do_what_librarians_do(self):
        self.client.force_login(self.reader)
        for url in ("/loans/", self.renew):
            self.assertContains(self.client.get(url), "for librarians", status_code=403)
        assert self.client.post(self.take_back).status_code == 403
        self.loan.refresh_from_db()
        assert self.loan.status == "o"

    def test_librarians_see_all_loans_the_most_urgent_first(self):
        self.client.force_login(self.librarian)
        response = self.client.get("/loans/")
        assert list(response.context["object_list"]) == [self.loan, self.other]

    def test_renewal(self):
        self.client.force_login(self.librarian)
        due = timezone.localdate() + timedelta(weeks=3)
        self.assertContains(self.client.get(self.renew), f'value="{due.isoformat()}"')
        response = self.client.post(self.renew, {"due_back": due}, follow=True)
        self.assertRedirects(response, "/loans/")
        self.assertContains(response, "“Emma” is renewed.")
        self.loan.refresh_from_db()
        assert self.loan.due_back == due

    def test_a_refused_renewal_changes_nothing(self):
        self.client.force_login(self.librarian)
        before = self.loan.due_back
        far = timezone.localdate() + timedelta(weeks=5)
        response = self.client.post(self.renew, {"due_back": far})
        self.assertContains(response, "more than four weeks ahead")
        assert response.context["due"] == before
        self.loan.refresh_from_db()
        assert self.loan.due_back == before

    def test_what_is_not_on_loan_cannot_be_renewed(self):
        self.client.force_login(self.librarian)
        shelf = library.copy(self.loan.book)
        response = self.client.get(reverse("catalog:renew", args=[shelf.pk]))
        assert response.status_code == 404

    def test_taking_back(self):
        self.client.force_login(self.librarian)
        assert self.client.get(self.take_back).status_code == 405
        self.assertRedirects(self.client.post(self.take_back), "/loans/")
        self.loan.refresh_from_db()
        assert self.loan.status == "a"


class EditTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.librarian, cls.reader = library.librarian(), library.reader()
        cls.emma = library.book()

    def setUp(self):
        self.client.force_login(self.librarian)

    def test_permissions(self):
        urls = [
            reverse("catalog:book-add"),
            reverse("catalog:author-add"),
            *(
                reverse(f"catalog:{name}", args=[key])
                for name, key in (
                    ("book-edit", self.emma.pk),
                    ("book-delete", self.emma.pk),
                    ("author-edit", self.emma.author.pk),
                    ("author-delete", self.emma.author.pk),
                )
            ),
        ]
        for url in urls:
            with self.subTest(url):
                self.client.force_login(self.librarian)
                assert self.client.get(url).status_code == 200
                self.client.force_login(self.reader)
                assert self.client.post(url).status_code == 403
                self.client.logout()
                self.assertRedirects(self.client.get(url), f"/accounts/login/?next={url}")

    def test_authors_come_change_and_go(self):
        response = self.client.post("/authors/add/", {"last_name": "Homer"}, follow=True)
        homer = Author.objects.get(last_name="Homer")
        self.assertRedirects(response, homer.get_absolute_url())
        self.assertContains(response, "Saved.")
        self.client.post(f"/authors/{homer.pk}/edit/", {"last_name": "Homeros"})
        homer.refresh_from_db()
        assert homer.last_name == "Homeros"
        response = self.client.post(f"/authors/{homer.pk}/delete/", follow=True)
        self.assertContains(response, "“Homeros” is deleted.")
        assert not Author.objects.filter(pk=homer.pk).exists()

    def test_an_author_with_books_is_not_deleted(self):
        url = f"/authors/{self.emma.author.pk}/delete/"
        sentence = "This author still has books. Delete the books first."
        self.assertContains(self.client.get(url), sentence)
        response = self.client.post(url, follow=True)
        self.assertRedirects(response, self.emma.author.get_absolute_url())
        self.assertContains(response, sentence)

    def test_a_book_with_copies_is_not_deleted(self):
        copy = library.copy(self.emma)
        url = f"/books/{self.emma.pk}/delete/"
        self.assertContains(self.client.post(url, follow=True), "This book still has copies.")
        copy.delete()
        self.assertRedirects(self.client.post(url), "/books/")

    def test_a_book_with_its_cover(self):
        data = {
            "title": "Persuasion",
            "author": self.emma.author.pk,
            "language": self.emma.language.pk,
            "genres": [Genre.objects.create(name="Novel").pk],
            "cover": SimpleUploadedFile("any name.png", library.PNG),
        }
        response = self.client.post("/books/add/", data, follow=True)
        book = Book.objects.get(title="Persuasion")
        self.assertContains(response, f'src="{book.cover.url}"')
        self.assertContains(self.client.get("/books/"), f'src="{book.cover.url}"')
        # Editing without a new cover keeps the old one, and does not look at it again.
        del data["cover"]
        response = self.client.post(f"/books/{book.pk}/edit/", data | {"title": "P."}, follow=True)
        self.assertContains(response, book.cover.url)


class ErrorTests(TestCase):
    def setUp(self):
        self.client.raise_request_exception = False

    def test_a_database_that_is_away_for_a_moment(self):
        with mock.patch("catalog.views.render", side_effect=OperationalError):
            response = self.client.get("/")
        self.assertContains(response, "back in a moment", status_code=503)
        assert response["Retry-After"] == "2"

    def test_a_fault_of_ours(self):
        with mock.patch("catalog.views.render", side_effect=ZeroDivisionError):
            response = self.client.get("/")
        self.assertContains(response, "our fault", status_code=500)


class PageTests(TestCase):
    """What every page owes its visitors."""

    def test_no_inline_style_or_script_and_every_field_has_its_label(self):
        copy = library.loan(library.reader())
        self.client.force_login(library.librarian())
        book, author = copy.book, copy.book.author
        urls = ["/", "/books/", "/authors/", "/loans/", "/loans/mine/", "/nowhere/"]
        urls += ["/books/add/", "/authors/add/", f"/loans/{copy.pk}/renew/"]
        urls += [f"/books/{book.pk}/{verb}" for verb in ("", "edit/", "delete/")]
        urls += [f"/authors/{author.pk}/{verb}" for verb in ("", "edit/", "delete/")]
        urls += ["/accounts/login/", "/accounts/password_change/", "/accounts/password_reset/"]
        for url in urls:
            with self.subTest(url):
                html = self.client.get(url).content.decode()
                assert not re.search(r"<style|<script|\sstyle=|\son[a-z]+=", html)
                assert '<html lang="en">' in html
                assert '<a class="skip" href="#main">' in html
                assert html.count("<h1") == 1
                fields = re.findall(r"<(?:input|select|textarea)\b[^>]*>", html)
                labels = set(re.findall(r'<label[^>]* for="([^"]+)"', html))
                for field in fields:
                    if 'type="hidden"' not in field:
                        assert re.search(r'\bid="([^"]+)"', field)[1] in labels, field
                ids = re.findall(r'\bid="([^"]+)"', html)
                assert len(ids) == len(set(ids)), "an id is used twice"

    def test_the_current_page_is_marked(self):
        self.assertContains(self.client.get("/authors/"), '"/authors/" aria-current="page"')
