"""A visitor's walk through the real site over HTTPS. Screenshots are kept in artifacts/."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, expect

from tests.lab.browser import browser
from tests.lab.site import ARTIFACTS, Site

LIBRARIAN, WARDEN, PASSWORD = "librarian", "warden", "walk-through-the-library"


@pytest.fixture(scope="module")
def site(debian13: Site) -> Site:
    """The droplet with a release, a catalogue and a librarian."""
    assert debian13.invoke("deploy").code == 0
    debian13.ask("locallibrary-manage load_catalog --demo-users")
    give_password = (
        "from django.contrib.auth import get_user_model as users;"
        f"librarian = users().objects.get(username='{LIBRARIAN}');"
        f"librarian.set_password('{PASSWORD}'); librarian.save();"
        f"users().objects.filter(username='{WARDEN}').delete();"
        f"users().objects.create_superuser('{WARDEN}', password='{PASSWORD}')"
    )
    debian13.ask(f'locallibrary-manage shell -c "{give_password}"')
    return debian13


@pytest.fixture(scope="module")
def chromium(site: Site) -> Iterator[Browser]:
    with browser(site.domain, site.address) as started:
        yield started


def visit(chromium: Browser, site: Site, **options: object) -> Page:
    """A new visitor: no cookies, English unless options say otherwise."""
    context: BrowserContext = chromium.new_context(
        base_url=f"https://{site.domain}",
        **{"locale": "en-GB", "viewport": {"width": 1280, "height": 800}, **options},  # type: ignore[arg-type]
    )
    context.set_default_timeout(15_000)
    return context.new_page()


def picture(page: Page, name: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png")


def test_the_home_page_shows_the_library(chromium: Browser, site: Site) -> None:
    page = visit(chromium, site)
    errors: list[str] = []
    page.on(
        "console", lambda message: errors.append(message.text) if message.type == "error" else None
    )
    answer = page.goto("/")
    assert answer
    assert answer.status == 200
    security = answer.security_details()
    assert security
    assert "Pebble Intermediate CA" in (security["issuer"] or "")
    expect(page).to_have_title(re.compile("LocalLibrary"))
    picture(page, "home")
    assert not errors


def test_the_catalogue_has_books_with_pages_of_their_own(chromium: Browser, site: Site) -> None:
    page = visit(chromium, site)
    page.goto("/books/")
    page.locator("main a[href^='/books/']").first.click()
    expect(page).to_have_url(re.compile(r"/books/\d+/$"))
    picture(page, "book")


def test_a_librarian_logs_in_and_renews_a_loan(chromium: Browser, site: Site) -> None:
    page = visit(chromium, site)
    page.goto("/accounts/login/?next=/loans/")
    page.get_by_label("Username").fill(LIBRARIAN)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Log in").click()
    expect(page).to_have_url(re.compile(r"/loans/"))
    picture(page, "loans")
    page.get_by_role("link", name=re.compile("Renew")).first.click()
    expect(page).to_have_url(re.compile(r"/renew/"))
    picture(page, "renew")
    page.get_by_role("main").get_by_role("button", name=re.compile("Renew")).click()
    expect(page).to_have_url(re.compile(r"/loans/$"))
    picture(page, "renewed")


def test_a_spanish_browser_gets_spanish(chromium: Browser, site: Site) -> None:
    page = visit(chromium, site, locale="es-ES")
    page.goto("/")
    expect(page.locator("html")).to_have_attribute("lang", "es")
    expect(page.locator("body")).to_contain_text("Libros")
    picture(page, "home-spanish")


def test_the_site_fits_a_phone(chromium: Browser, site: Site) -> None:
    page = visit(chromium, site, viewport={"width": 360, "height": 740})
    for path in ("/", "/books/", "/authors/"):
        page.goto(path)
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 360, f"{path} is {width} px wide on a phone"
    page.goto("/")
    picture(page, "phone")


def test_no_page_breaks_the_content_security_policy(chromium: Browser, site: Site) -> None:
    page = visit(chromium, site)
    errors: list[str] = []

    def listen(said: ConsoleMessage) -> None:
        # The admin names no icon, which is an error of its own.
        if "Content Security Policy" in said.text:
            errors.append(f"{page.url}: {said.text}")

    page.on("console", listen)
    for path in ("/", "/books/", "/authors/", "/accounts/login/?next=/admin/"):
        page.goto(path, wait_until="networkidle")
    page.get_by_label("Username").fill(WARDEN)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Log in").click()
    expect(page).to_have_url(re.compile(r"/admin/$"))
    for path in ("/admin/catalog/book/", "/admin/catalog/bookinstance/add/"):
        page.goto(path, wait_until="networkidle")
    # A form with the admin's own scripts: two lists to choose from, a search, rows that are added.
    page.goto("/admin/catalog/book/", wait_until="networkidle")
    page.locator("#result_list tbody th a").first.click()
    expect(page.locator(".selector-chosen")).to_be_visible()
    page.locator(".select2-selection").first.click()
    expect(page.locator(".select2-results__option").first).to_be_visible()
    picture(page, "admin")
    assert not errors, "\n".join(errors)
    # The policy is there and bites: what is written into a page does not run.
    with pytest.raises(Error, match="Content Security Policy"):
        page.add_script_tag(content="window.smuggled = true")
    assert page.evaluate("window.smuggled") is None
    assert errors, "the browser does not tell what it forbids, so nothing was proved"
