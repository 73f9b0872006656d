from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .models import LOAN_PERIOD, LONGEST_RENEWAL, Author, Book, BookInstance


class DateInput(forms.DateInput):
    """The browser's own date field, which speaks ISO dates in every language."""

    input_type = "date"

    def __init__(self, attrs=None):
        super().__init__(attrs, format="%Y-%m-%d")


class AuthorForm(forms.ModelForm):
    class Meta:
        model = Author
        fields = ["first_name", "last_name", "date_of_birth", "date_of_death"]
        widgets = {"date_of_birth": DateInput, "date_of_death": DateInput}


class BookForm(forms.ModelForm):
    class Meta:
        model = Book
        fields = ["title", "author", "year", "language", "genres", "isbn", "summary", "cover"]
        widgets = {"genres": forms.CheckboxSelectMultiple}


class RenewalForm(forms.ModelForm):
    """A new due date: three weeks from today unless said otherwise, never more than four."""

    class Meta:
        model = BookInstance
        fields = ["due_back"]
        labels = {"due_back": _("New due date")}
        help_texts = {"due_back": _("From today to four weeks ahead; three weeks is usual.")}
        widgets = {"due_back": DateInput}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        today = timezone.localdate()
        field = self.fields["due_back"]
        field.required = True
        self.initial["due_back"] = today + LOAN_PERIOD
        field.widget.attrs |= {
            "min": today.isoformat(),
            "max": (today + LONGEST_RENEWAL).isoformat(),
        }

    def clean_due_back(self):
        due_back, today = self.cleaned_data["due_back"], timezone.localdate()
        if due_back < today:
            raise ValidationError(_("This date is in the past."), code="past")
        if due_back > today + LONGEST_RENEWAL:
            raise ValidationError(_("This date is more than four weeks ahead."), code="far")
        return due_back
