from django.urls import path

from . import views

app_name = "catalog"

urlpatterns = [
    path("", views.home, name="home"),
    path("books/", views.BookList.as_view(), name="books"),
    path("books/add/", views.BookCreate.as_view(), name="book-add"),
    path("books/<int:pk>/", views.BookDetail.as_view(), name="book"),
    path("books/<int:pk>/edit/", views.BookUpdate.as_view(), name="book-edit"),
    path("books/<int:pk>/delete/", views.BookDelete.as_view(), name="book-delete"),
    path("authors/", views.AuthorList.as_view(), name="authors"),
    path("authors/add/", views.AuthorCreate.as_view(), name="author-add"),
    path("authors/<int:pk>/", views.AuthorDetail.as_view(), name="author"),
    path("authors/<int:pk>/edit/", views.AuthorUpdate.as_view(), name="author-edit"),
    path("authors/<int:pk>/delete/", views.AuthorDelete.as_view(), name="author-delete"),
    path("loans/", views.LoanList.as_view(), name="loans"),
    path("loans/mine/", views.MyLoans.as_view(), name="my-loans"),
    path("loans/<uuid:pk>/renew/", views.Renew.as_view(), name="renew"),
    path("loans/<uuid:pk>/return/", views.take_back, name="return"),
]
