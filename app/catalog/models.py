"""Books, the people who wrote them, and the copies that readers take home."""

import uuid
from datetime import timedelta
from pathlib import PurePath

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Lower
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

LOAN_PERIOD = timedelta(weeks=3)
LONGEST_RENEWAL = timedelta(weeks=4)

COVER_BYTES = 2 * 1024 * 1024
COVER_SIGNATURES = {
    ".jpg": b"\xff\xd8\xff",
    ".jpeg": b"\xff\xd8\xff",
    ".png": b"\x89PNG\r\n\x1a\n",
    ".webp": b"RIFF",
}


def cover_path(book, filename):
    """A name of our own: unguessable, never used twice, so browsers may keep it for ever."""
    return f"covers/{uuid.uuid4().hex}{PurePath(filename).suffix.lower()}"


def validate_cover(cover):
    """A small picture whose first bytes agree with its name. Nothing here decodes pictures."""
    if getattr(cover, "_committed", False):
        return  # already stored, and looked at then
    if cover.size > COVER_BYTES:
        raise ValidationError(_("The cover must not be larger than 2 MB."), code="too_large")
    signature = COVER_SIGNATURES.get(PurePath(cover.name).suffix.lower())
    head = cover.read(12)
    cover.seek(0)
    if (
        signature is None
        or not head.startswith(signature)
        or (signature == b"RIFF" and head[8:] != b"WEBP")
    ):
        raise ValidationError(_("The cover must be a JPEG, PNG or WebP picture."), code="type")


def validate_isbn(isbn):
    """ISBN-13: thirteen digits, the last of which checks the others."""
    if len(isbn) != 13 or not (isbn.isascii() and isbn.isdigit()):
        raise ValidationError(_("An ISBN has 13 digits and nothing else."), code="digits")
    if sum(int(digit) * (1, 3)[place % 2] for place, digit in enumerate(isbn)) % 10:
        raise ValidationError(_("This ISBN has a wrong digit in it."), code="checksum")


def count_of(rows, key):
    """How many rows lead to each row of a query, counted only for what of it is shown."""
    counted = rows.order_by().values(key).annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counted), 0)


class OneOf(models.Func):
    """Whether a field is one of what a query finds. PostgreSQL finds that first, as an array, and
    then may use an index, which it does not for an IN that stands beside an OR."""

    output_field = models.BooleanField()
    template = "%(expressions)s"
    arg_joiner = " IN "

    def __init__(self, field, query):
        super().__init__(models.F(field), Subquery(query))

    def as_postgresql(self, compiler, connection, **context):
        return self.as_sql(
            compiler, connection, template="%(expressions)s)", arg_joiner=" = ANY(ARRAY", **context
        )


class NamedModel(models.Model):
    """Something that is no more than its name."""

    name = models.CharField(_("name"), max_length=100)

    class Meta:
        abstract = True
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                Lower("name"),
                name="%(class)s_name_unique",
                violation_error_message=_("This name is already taken."),
            )
        ]

    def __str__(self):
        return self.name


class Genre(NamedModel):
    class Meta(NamedModel.Meta):
        verbose_name = _("genre")
        verbose_name_plural = _("genres")


class Language(NamedModel):
    class Meta(NamedModel.Meta):
        verbose_name = _("language")
        verbose_name_plural = _("languages")


class Author(models.Model):
    first_name = models.CharField(_("first name"), max_length=100, blank=True)
    last_name = models.CharField(_("last name"), max_length=100)
    date_of_birth = models.DateField(_("date of birth"), null=True, blank=True)
    date_of_death = models.DateField(_("date of death"), null=True, blank=True)

    class Meta:
        verbose_name = _("author")
        verbose_name_plural = _("authors")
        ordering = ["last_name", "first_name"]
        indexes = [models.Index(fields=["last_name", "first_name", "id"], name="author_name")]
        constraints = [
            models.CheckConstraint(
                name="author_dies_after_birth",
                condition=Q(date_of_birth__isnull=True)
                | Q(date_of_death__isnull=True)
                | Q(date_of_death__gte=models.F("date_of_birth")),
                violation_error_message=_("Nobody dies before being born: check both dates."),
            )
        ]

    def __str__(self):
        return f"{self.last_name}, {self.first_name}" if self.first_name else self.last_name

    def get_absolute_url(self):
        return reverse("catalog:author", args=[self.pk])

    @property
    def full_name(self):
        return f"{self.first_name} {self.last_name}".strip()


class BookQuerySet(models.QuerySet):
    def with_copies(self):
        """Each book with its author, the number of its copies, and of those on the shelf."""
        copies = BookInstance.objects.filter(book=OuterRef("pk"))
        return self.select_related("author").annotate(
            copy_count=count_of(copies, "book"),
            available_count=count_of(copies.available(), "book"),
        )

    def search(self, text):
        """Books with each word of the text in their title or in their author's name."""
        books = self
        for word in text.split():
            authors = Author.objects.filter(
                Q(first_name__icontains=word) | Q(last_name__icontains=word)
            )
            books = books.filter(
                Q(title__icontains=word) | Q(OneOf("author", authors.values("pk")))
            )
        return books


class Book(models.Model):
    title = models.CharField(_("title"), max_length=200)
    author = models.ForeignKey(
        Author, models.PROTECT, related_name="books", verbose_name=_("author")
    )
    year = models.PositiveSmallIntegerField(_("first published"), null=True, blank=True)
    summary = models.TextField(_("summary"), max_length=2000, blank=True)
    isbn = models.CharField(
        "ISBN",
        max_length=13,
        blank=True,
        validators=[validate_isbn],
        help_text=_("Thirteen digits, without hyphens."),
    )
    genres = models.ManyToManyField(
        Genre, related_name="books", blank=True, verbose_name=_("genres")
    )
    language = models.ForeignKey(
        Language, models.PROTECT, related_name="books", verbose_name=_("language")
    )
    cover = models.FileField(
        _("cover"),
        upload_to=cover_path,
        blank=True,
        validators=[validate_cover],
        help_text=_("A JPEG, PNG or WebP picture of at most 2 MB."),
    )
    added = models.DateTimeField(_("added"), auto_now_add=True)

    objects = BookQuerySet.as_manager()

    class Meta:
        verbose_name = _("book")
        verbose_name_plural = _("books")
        ordering = ["title", "pk"]
        indexes = [
            models.Index(fields=["title", "id"], name="book_title"),
            models.Index(fields=["added", "id"], name="book_added"),
        ]
        constraints = [
            models.UniqueConstraint(
                "isbn",
                name="book_isbn_unique",
                condition=~Q(isbn=""),
                violation_error_message=_("Another book has this ISBN."),
            )
        ]

    def __str__(self):
        return self.title

    def get_absolute_url(self):
        return reverse("catalog:book", args=[self.pk])


class BookInstanceQuerySet(models.QuerySet):
    def available(self):
        return self.filter(status=BookInstance.Status.AVAILABLE)

    def loans(self):
        """Copies on loan, the most urgent first."""
        return (
            self.filter(status=BookInstance.Status.ON_LOAN)
            .select_related("book__author", "borrower")
            .order_by("due_back", "pk")
        )


class BookInstance(models.Model):
    """One copy of a book, as it stands on the shelf."""

    class Status(models.TextChoices):
        AVAILABLE = "a", _("Available")
        ON_LOAN = "o", _("On loan")
        RESERVED = "r", _("Reserved")
        MAINTENANCE = "m", _("Maintenance")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    book = models.ForeignKey(Book, models.PROTECT, related_name="copies", verbose_name=_("book"))
    imprint = models.CharField(_("imprint"), max_length=200)
    status = models.CharField(_("status"), max_length=1, choices=Status, default=Status.MAINTENANCE)
    due_back = models.DateField(_("due back"), null=True, blank=True)
    borrower = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        related_name="loans",
        null=True,
        blank=True,
        verbose_name=_("borrower"),
    )

    objects = BookInstanceQuerySet.as_manager()

    class Meta:
        verbose_name = _("copy")
        verbose_name_plural = _("copies")
        ordering = ["imprint", "pk"]
        permissions = [("can_mark_returned", "Can renew and return loans")]
        indexes = [models.Index(fields=["status", "due_back", "id"], name="copy_status_due_id")]
        constraints = [
            models.CheckConstraint(
                name="loan_has_borrower_and_date",
                condition=~Q(status="o") | Q(borrower__isnull=False, due_back__isnull=False),
                violation_error_message=_("A copy on loan needs a borrower and a due date."),
            )
        ]

    def __str__(self):
        return f"{self.book} ({self.imprint})"

    @property
    def is_overdue(self):
        return (
            self.status == self.Status.ON_LOAN
            and self.due_back is not None
            and self.due_back < timezone.localdate()
        )

    def lend(self, borrower, due_back):
        self.status, self.borrower, self.due_back = self.Status.ON_LOAN, borrower, due_back
        self.save(update_fields=["status", "borrower", "due_back"])

    def take_back(self):
        self.status, self.borrower, self.due_back = self.Status.AVAILABLE, None, None
        self.save(update_fields=["status", "borrower", "due_back"])
