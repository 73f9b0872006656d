"""Fills the library with a small catalogue of books that belong to everybody."""

import json
import os
import secrets
import uuid
from datetime import timedelta
from pathlib import Path

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.files import File
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from catalog.models import Author, Book, BookInstance, Genre, Language

DATA = Path(__file__).resolve().parents[2] / "data"
LIBRARIAN, READER = "librarian", "reader"


class Command(BaseCommand):
    help = (
        "Loads a catalogue of public-domain books. What is already there stays as it is,"
        " so it can be run again at any time."
    )

    def add_arguments(self, parser):
        parser.add_argument(
            "--demo-users",
            action="store_true",
            help="also make a librarian and a reader with some loans; their passwords are read from"
            " DEMO_LIBRARIAN_PASSWORD and DEMO_READER_PASSWORD, or made up and printed once",
        )
        parser.add_argument(
            "--new-passwords",
            action="store_true",
            help="with --demo-users: make up new passwords for existing demo users too",
        )

    @transaction.atomic
    def handle(self, *args, demo_users, new_passwords, **options):
        if new_passwords and not demo_users:
            raise CommandError("--new-passwords needs --demo-users.")
        catalogue = json.loads((DATA / "catalogue.json").read_text(encoding="utf-8"))
        authors = {
            author.pop("id"): Author.objects.get_or_create(
                first_name=author.pop("first_name"),
                last_name=author.pop("last_name"),
                defaults=author,
            )[0]
            for author in catalogue["authors"]
        }
        added = sum(self.load_book(book, authors[book["author"]]) for book in catalogue["books"])
        self.stdout.write(f"Catalogue: {added} books added, {Book.objects.count()} in all.")
        if demo_users:
            self.user(LIBRARIAN, new_passwords, is_staff=True).groups.add(
                Group.objects.get(name="Librarians")
            )
            reader = self.user(READER, new_passwords)
            if not reader.loans.exists():
                self.lend(catalogue["books"], reader)

    def load_book(self, data, author):
        """Adds the book with its copies; returns whether it was new."""
        book, new = Book.objects.get_or_create(
            title=data["title"],
            author=author,
            defaults={
                "year": data["year"],
                "isbn": data.get("isbn", ""),
                "summary": data["summary"],
                "language": Language.objects.get_or_create(name=data["language"])[0],
            },
        )
        if not new:
            return False
        book.genres.set([Genre.objects.get_or_create(name=name)[0] for name in data["genres"]])
        for place, (imprint, status, *_) in enumerate(data["copies"]):
            # A copy that somebody borrows begins on the shelf; see lend().
            BookInstance.objects.create(
                id=copy_id(data, place),
                book=book,
                imprint=imprint,
                status=BookInstance.Status.AVAILABLE if status == "o" else status,
            )
        if cover := data.get("cover"):
            with (DATA / "covers" / cover).open("rb") as file:
                book.cover.save(cover, File(file))
        return True

    def user(self, name, new_password, **fields):
        user, new = get_user_model().objects.get_or_create(
            username=name, defaults={"email": f"{name}@localhost", **fields}
        )
        chosen = os.environ.get(f"DEMO_{name.upper()}_PASSWORD")
        if chosen and not user.check_password(chosen):
            user.set_password(chosen)
            user.save()
            self.stdout.write(f"User {name}: password taken from the environment.")
        elif not chosen and (new or new_password):
            password = secrets.token_urlsafe(12)
            user.set_password(password)
            user.save()
            self.stdout.write(f"User {name}: password {password}")
        return user

    def lend(self, books, reader):
        """Lends what the catalogue says, as far as it is on the shelf."""
        today = timezone.localdate()
        for data in books:
            for place, (_, status, *days) in enumerate(data["copies"]):
                if status == "o":
                    shelf = BookInstance.objects.available()
                    if copy := shelf.filter(pk=copy_id(data, place)).first():
                        copy.lend(reader, today + timedelta(days=days[0]))


def copy_id(book, place):
    """The same copy has the same id in every library."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{book['author']}/{book['title']}/{place}")
