from unittest import mock

from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import TestCase
from django.test.utils import CaptureQueriesContext

from catalog import paging
from catalog.models import Author, Book, BookInstance, Genre, Language

from . import library

PAGES = (
    "/",
    "/books/",
    "/books/?page=last",
    "/books/?q=book+jane",
    "/books/?genre={genre}",
    "/authors/",
    "/loans/",
    "/loans/mine/",
    "/books/{book}/",
    "/authors/{author}/",
)


class LongListTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.author = library.author()
        cls.genre = Genre.objects.create(name="Novel")
        cls.librarian = library.librarian()
        cls.first = cls.add(1)

    def setUp(self):
        cache.clear()
        self.addCleanup(cache.clear)

    @classmethod
    def add(cls, number):
        """So many books more, each with a copy on the shelf and one on loan; the last of them."""
        language, _ = Language.objects.get_or_create(name="English")
        begin = Book.objects.count()
        books = Book.objects.bulk_create(
            Book(title=f"Book {begin + n:05}", author=cls.author, language=language)
            for n in range(number)
        )
        due_back = "2026-12-01"
        BookInstance.objects.bulk_create(BookInstance(book=one, status="a") for one in books)
        BookInstance.objects.bulk_create(
            BookInstance(book=one, status="o", due_back=due_back, borrower=cls.librarian)
            for one in books
        )
        cls.genre.books.add(*books)
        return books[-1]

    def queries(self):
        """Page -> how many queries it takes, once the session is there and counts are known."""
        self.client.force_login(User.objects.get(pk=self.librarian.pk))
        keys = {"genre": self.genre.pk, "book": self.first.pk, "author": self.author.pk}
        found = {}
        for page in PAGES:
            url = page.format_map(keys)
            self.client.get(url)
            with CaptureQueriesContext(connection) as captured:
                assert self.client.get(url).status_code == 200
            found[page] = len(captured)
        return found

    def test_the_number_of_queries_does_not_grow(self):
        one = self.queries()
        self.add(200)
        assert self.queries() == one
        with mock.patch("catalog.paging.MANY", 100), mock.patch("catalog.views.MANY", 100):
            many = self.queries()
        assert all(many[page] <= one[page] for page in PAGES), (one, many)

    def test_each_book_is_on_one_page_read_from_either_end(self):
        self.add(100)
        paginator = paging.LongPaginator(Book.objects.with_copies(), 12)
        assert paginator.count == 101
        titles = [book.title for page in paginator for book in page.object_list]
        assert titles == [f"Book {number:05}" for number in range(101)]
        assert paginator.page(9).object_list[0].available_count == 1

    def test_an_empty_list_has_one_empty_page(self):
        assert list(paging.LongPaginator(Genre.objects.filter(name="None"), 12).page(1)) == []

    def test_small_numbers_are_exact_and_large_ones_may_be_a_minute_old(self):
        assert paging.count(Book.objects.all()) == 1
        self.add(1)
        assert paging.count(Book.objects.all()) == 2
        with mock.patch("catalog.paging.MANY", 1):
            assert paging.count(Book.objects.all()) == 2
            self.add(1)
            assert paging.count(Book.objects.all()) == 2
            assert paging.count(Book.objects.filter(title="Book 00002")) == 1
            assert paging.count(Author.objects.all()) == 1
            cache.clear()
            assert paging.count(Book.objects.all()) == 3
