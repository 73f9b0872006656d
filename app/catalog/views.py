import sys

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.mixins import LoginRequiredMixin, PermissionRequiredMixin
from django.contrib.messages.views import SuccessMessageMixin
from django.core.cache import cache
from django.db import InterfaceError, OperationalError
from django.db.models import Count, OuterRef, ProtectedError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST
from django.views.generic import CreateView, DeleteView, DetailView, ListView, UpdateView

from .forms import AuthorForm, BookForm, RenewalForm
from .models import Author, Book, BookInstance, Genre, count_of
from .paging import MANY, MOMENT, LongPaginator, count


def home(request):
    visits = request.session.get("visits", 0) + 1
    request.session["visits"] = visits
    books = count(Book.objects.all())
    return render(
        request,
        "catalog/home.html",
        {
            "visits": visits,
            "books": books,
            "copies": count(BookInstance.objects.all()),
            "available": count(BookInstance.objects.available()),
            "authors": count(Author.objects.all()),
            "newest": Book.objects.with_copies().order_by("-added", "-pk")[:6],
            "genres": genres() if books <= MANY else cache.get_or_set("genres", genres, MOMENT),
        },
    )


def genres():
    """Those that a book has, with the number of their books."""
    counted = Genre.objects.annotate(book_count=Count("books"))
    return list(counted.filter(book_count__gt=0).order_by("name"))


class PagedList(ListView):
    """A list in pages, with the numbers of the pages worth a link."""

    paginate_by = 12
    paginator_class = LongPaginator

    def get_context_data(self, **kwargs):
        context = super().get_context_data(**kwargs)
        page = context["page_obj"]
        context["pages"] = page.paginator.get_elided_page_range(page.number, on_each_side=2)
        return context


class BookList(PagedList):
    def get_queryset(self):
        self.search = self.request.GET.get("q", "").replace("\0", "").strip()
        genre = self.request.GET.get("genre", "")
        self.genre = Genre.objects.filter(pk=genre).first() if is_key(genre) else None
        books = Book.objects.with_copies().search(self.search)
        return books.filter(genres=self.genre) if self.genre else books

    def get_context_data(self, **kwargs):
        return super().get_context_data(
            search=self.search, genre=self.genre, genres=Genre.objects.all(), **kwargs
        )


class BookDetail(DetailView):
    queryset = Book.objects.select_related("author", "language").prefetch_related(
        "genres", "copies"
    )


class AuthorList(PagedList):
    queryset = Author.objects.annotate(
        book_count=count_of(Book.objects.filter(author=OuterRef("pk")), "author")
    ).order_by("last_name", "first_name", "pk")


class AuthorDetail(DetailView):
    model = Author

    def get_context_data(self, **kwargs):
        books = self.object.books.with_copies().order_by("year", "title")
        return super().get_context_data(books=books, **kwargs)


class MyLoans(LoginRequiredMixin, PagedList):
    template_name = "catalog/my_loans.html"

    def get_queryset(self):
        return BookInstance.objects.loans().filter(borrower=self.request.user)


class LoanList(PermissionRequiredMixin, PagedList):
    permission_required = "catalog.can_mark_returned"
    template_name = "catalog/loans.html"
    queryset = BookInstance.objects.loans()


class Renew(PermissionRequiredMixin, SuccessMessageMixin, UpdateView):
    permission_required = "catalog.can_mark_returned"
    queryset = BookInstance.objects.loans()
    form_class = RenewalForm
    template_name = "catalog/renew.html"
    success_url = reverse_lazy("catalog:loans")

    def get_object(self, queryset=None):
        copy = super().get_object(queryset)
        # The form overwrites the date on the copy, even when it is refused.
        self.extra_context = {"due": copy.due_back}
        return copy

    def get_success_message(self, cleaned_data):
        return _("“%(book)s” is renewed.") % {"book": self.object.book}


@require_POST
@permission_required("catalog.can_mark_returned", raise_exception=True)
def take_back(request, pk):
    copy = get_object_or_404(BookInstance.objects.loans(), pk=pk)
    copy.take_back()
    messages.success(request, _("“%(book)s” is back on the shelf.") % {"book": copy.book})
    return redirect("catalog:loans")


class Edited(PermissionRequiredMixin, SuccessMessageMixin):
    """A form behind a permission that says what it did."""

    template_name = "catalog/form.html"
    success_message = gettext_lazy("Saved.")


class BookCreate(Edited, CreateView):
    permission_required = "catalog.add_book"
    model = Book
    form_class = BookForm
    extra_context = {"heading": gettext_lazy("Add a book")}


class BookUpdate(Edited, UpdateView):
    permission_required = "catalog.change_book"
    model = Book
    form_class = BookForm
    extra_context = {"heading": gettext_lazy("Edit the book")}


class AuthorCreate(Edited, CreateView):
    permission_required = "catalog.add_author"
    model = Author
    form_class = AuthorForm
    extra_context = {"heading": gettext_lazy("Add an author")}


class AuthorUpdate(Edited, UpdateView):
    permission_required = "catalog.change_author"
    model = Author
    form_class = AuthorForm
    extra_context = {"heading": gettext_lazy("Edit the author")}


class GuardedDelete(PermissionRequiredMixin, DeleteView):
    """Deletes what nothing depends on; otherwise says why it does not."""

    template_name = "catalog/delete.html"

    def get_context_data(self, **kwargs):
        blocked = getattr(self.object, self.dependents).exists()
        return super().get_context_data(refusal=self.refusal if blocked else "", **kwargs)

    def form_valid(self, form):
        try:
            response = super().form_valid(form)
        except ProtectedError:
            messages.error(self.request, self.refusal)
            return redirect(self.object)
        messages.success(self.request, _("“%(name)s” is deleted.") % {"name": self.object})
        return response


class BookDelete(GuardedDelete):
    permission_required = "catalog.delete_book"
    model = Book
    dependents = "copies"
    success_url = reverse_lazy("catalog:books")
    refusal = gettext_lazy("This book still has copies. Delete its copies first.")
    extra_context = {"heading": gettext_lazy("Delete the book")}


class AuthorDelete(GuardedDelete):
    permission_required = "catalog.delete_author"
    model = Author
    dependents = "books"
    success_url = reverse_lazy("catalog:authors")
    refusal = gettext_lazy("This author still has books. Delete the books first.")
    extra_context = {"heading": gettext_lazy("Delete the author")}


def server_error(request):
    """Our fault (500), or the database's for a moment (503: come back soon). Needs no database."""
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        return HttpResponse(render_to_string("503.html"), status=503, headers={"Retry-After": "2"})
    return HttpResponse(render_to_string("500.html"), status=500)


def is_key(text):
    return text.isascii() and text.isdigit() and len(text) < 18
