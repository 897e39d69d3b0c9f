"""The glossary: in order, each entry with the lesson that explains it."""

import re
from pathlib import Path

import pytest

from course_lib.lessons.terms import read_terms
from course_lib.lessons.text import lesson_texts

BOOK = Path(__file__).resolve().parent.parent / "book"
GLOSSARY = (BOOK / "glossary.md").read_text(encoding="utf-8")
TERMS = read_terms(GLOSSARY)
ENTRY = re.compile(r"^`?(?P<term>[^\n`:]+)`?\n: (?P<text>[^\n]+)$", re.MULTILINE)
ENTRIES = {found["term"]: found["text"] for found in ENTRY.finditer(GLOSSARY)}


def test_entries_are_in_order_and_each_is_found():
    assert list(ENTRIES) == list(TERMS) == sorted(TERMS, key=str.lower)
    assert len(TERMS) == GLOSSARY.count("\n: ")


@pytest.mark.parametrize("term", TERMS)
def test_an_entry_names_a_lesson_that_speaks_of_it(term):
    (lesson,) = re.findall(r"\{doc\}`(\d\d_\w+)`", ENTRIES[term])
    (page,) = [path for path in lesson_texts(BOOK) if path.stem == lesson]
    assert TERMS[term].search(page.read_text(encoding="utf-8"))
