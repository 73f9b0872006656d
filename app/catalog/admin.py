from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from .models import Author, Book, BookInstance, Genre, Language

admin.site.site_header = admin.site.site_title = "LocalLibrary"
admin.site.index_title = _("Administration")


class BookInline(admin.TabularInline):
    model = Book
    fields = ["title", "language", "year", "isbn"]
    extra = 0
    show_change_link = True


class CopyInline(admin.TabularInline):
    model = BookInstance
    # The borrower is a plain choice: searching among users would need a right to see them all.
    fields = ["imprint", "status", "due_back", "borrower"]
    extra = 0


@admin.register(Genre, Language)
class NamedAdmin(admin.ModelAdmin):
    search_fields = ["name"]


@admin.register(Author)
class AuthorAdmin(admin.ModelAdmin):
    list_display = ["last_name", "first_name", "date_of_birth", "date_of_death"]
    search_fields = ["last_name", "first_name"]
    fields = ["first_name", "last_name", ("date_of_birth", "date_of_death")]
    inlines = [BookInline]


@admin.register(Book)
class BookAdmin(admin.ModelAdmin):
    list_display = ["title", "author", "year", "language", "genre_names"]
    list_filter = ["genres", "language"]
    list_select_related = ["author", "language"]
    search_fields = ["title", "author__last_name", "isbn"]
    autocomplete_fields = ["author"]
    filter_horizontal = ["genres"]
    inlines = [CopyInline]

    def get_queryset(self, request):
        return super().get_queryset(request).prefetch_related("genres")

    @admin.display(description=_("genres"))
    def genre_names(self, book):
        return ", ".join(genre.name for genre in book.genres.all())


@admin.register(BookInstance)
class BookInstanceAdmin(admin.ModelAdmin):
    list_display = ["book", "imprint", "status", "borrower", "due_back"]
    list_filter = ["status", "due_back"]
    list_select_related = ["book", "borrower"]
    search_fields = ["id", "book__title", "imprint", "borrower__username"]
    autocomplete_fields = ["book"]
    fieldsets = [
        (None, {"fields": ["book", "imprint"]}),
        (_("Loan"), {"fields": ["status", "borrower", "due_back"]}),
    ]
