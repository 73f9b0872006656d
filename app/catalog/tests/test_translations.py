import ast
import gettext
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import skipUnless

from django.test import SimpleTestCase, TestCase

from . import library

APP = Path(__file__).resolve().parents[1]
SPANISH = APP / "locale/es/LC_MESSAGES/django.po"


def messages(po):
    """The entries of a .po file: flags, msgid, msgid_plural (or None), and their translations."""
    for block in po.read_text(encoding="utf-8").split("\n\n"):
        fields, name = {}, None
        flags = re.findall(r"^#, (.*)$", block, re.MULTILINE)
        for line in block.splitlines():
            if match := re.match(r'(msg\S+) (".*")$', line):
                name = match[1]
                fields[name] = ast.literal_eval(match[2])
            elif line.startswith('"'):
                fields[name] += ast.literal_eval(line)
        if fields:
            texts = [text for key, text in fields.items() if key.startswith("msgstr")]
            yield ", ".join(flags), fields["msgid"], fields.get("msgid_plural"), texts


def placeholders(text):
    return set(re.findall(r"%\(\w+\)s", text))


class SpanishTests(SimpleTestCase):
    def test_everything_is_translated(self):
        count = 0
        for flags, msgid, plural, texts in messages(SPANISH):
            with self.subTest(msgid):
                count += 1
                assert "fuzzy" not in flags
                assert texts
                assert all(texts), "not translated"
                assert len(texts) == (3 if plural else 1)
                if msgid:
                    assert placeholders(texts[-1]) == placeholders(plural or msgid)
        assert count > 100

    def test_the_compiled_file_says_the_same(self):
        with SPANISH.with_suffix(".mo").open("rb") as file:
            compiled = gettext.GNUTranslations(file)._catalog
        for _, msgid, plural, texts in messages(SPANISH):
            if msgid:
                keys = [(msgid, form) for form in range(3)] if plural else [msgid]
                assert [compiled[key] for key in keys] == texts

    @skipUnless(shutil.which("xgettext"), "xgettext is not installed")
    def test_no_text_of_the_source_is_missing(self):
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "catalog"
            shutil.copytree(APP, copy, ignore=shutil.ignore_patterns("tests", "__pycache__"))
            subprocess.run(
                [sys.executable, "-m", "django", "makemessages", "-l", "es", "--no-obsolete"],
                cwd=copy,
                env={"PATH": os.environ["PATH"]},
                check=True,
                capture_output=True,
            )
            fresh = {msgid for _, msgid, *_ in messages(copy / SPANISH.relative_to(APP))}
        assert fresh == {msgid for _, msgid, *_ in messages(SPANISH)}


class BrowserTests(TestCase):
    def test_the_browser_chooses(self):
        library.copy()
        for languages, lang, word in (
            ("es-MX,es;q=0.9,en;q=0.5", "es", "Libros antiguos, lectores nuevos."),
            ("en-GB", "en", "Old books, lent afresh."),
            ("de", "en", "Old books, lent afresh."),
        ):
            with self.subTest(languages):
                response = self.client.get("/", headers={"accept-language": languages})
                self.assertContains(response, f'<html lang="{lang}">')
                self.assertContains(response, word)
                assert "Accept-Language" in response["Vary"]

    def test_plurals_and_names_in_spanish(self):
        emma = library.book()
        library.loan(library.reader(), emma)
        spanish = {"headers": {"accept-language": "es"}}
        self.assertContains(self.client.get("/books/", **spanish), "1 libro")
        self.assertContains(self.client.get(emma.get_absolute_url(), **spanish), "En préstamo")
