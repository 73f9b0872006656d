"""What the tests share: a very small library."""

from datetime import timedelta

from django.contrib.auth.models import Group, User
from django.utils import timezone

from catalog.models import Author, Book, BookInstance, Language

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


def author(first_name="Jane", last_name="Austen", **fields):
    return Author.objects.create(first_name=first_name, last_name=last_name, **fields)


def book(title="Emma", by=None, **fields):
    language, _ = Language.objects.get_or_create(name="English")
    return Book.objects.create(title=title, author=by or author(), language=language, **fields)


def copy(of=None, status=BookInstance.Status.AVAILABLE, **fields):
    return BookInstance.objects.create(
        book=of or book(), imprint="Penguin, 2002", status=status, **fields
    )


def loan(borrower, of=None, days=7):
    due_back = timezone.localdate() + timedelta(days=days)
    return copy(of, BookInstance.Status.ON_LOAN, borrower=borrower, due_back=due_back)


def reader(name="reader"):
    return User.objects.create_user(name, f"{name}@example.org", "shelf-marks-9")


def librarian():
    user = User.objects.create_user("librarian", "librarian@example.org", "shelf-marks-9")
    user.groups.add(Group.objects.get(name="Librarians"))
    return user
