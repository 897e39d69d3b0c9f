"""The Reference: every component is on it; lesson, bug page and Reference lead to each other."""

from pathlib import Path

import pytest
from browsing import serve
from small_book import small_book

from course_lib.checks import all_checks
from course_lib.lessons.addresses import rules_address
from course_lib.lessons.bug_pages import bug_pages, page_name
from course_lib.lessons.reference import PLACE, fill_reference
from course_lib.lessons.text import LessonError, lesson_texts

BOOK = Path(__file__).resolve().parent.parent / "book"
REFERENCE = (BOOK / "reference.md").read_text(encoding="utf-8")
NOTATION = """\
# Notation

| letter | what it counts | in code |
|---|---|---|
| `T` | query positions: *who* asks | `n_queries` |
| `S` | key positions: *who* is asked | `n_keys` |
"""
LESSON = """\
---
jupytext:
  text_representation:
    format_name: myst
kernelspec:
  display_name: Python 3
  name: python3
---

# Causal masking

Words.

```{code-cell} python
:solve: causal_mask
:sentence: Compare positions.
from course_lib.transformer.masking import causal_mask
```

```{code-cell} python
:solve: masked_attention
:sentence: Mask, then average.
from course_lib.transformer.masking import masked_attention
```

```{code-cell} python
:solve: CausalSelfAttention
:sentence: Put the mask in.
from course_lib.transformer.masking import CausalSelfAttention
```
"""
PAGES = {
    "index": "# First page\n\nWords.",
    "notation": NOTATION,
    "grading": "# Grading\n\nWords.",
    "03_causal_masking": LESSON,
    "reference": REFERENCE,
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with serve(small_book(tmp_path_factory.mktemp("reference"), PAGES)) as address:
        yield address


# --- in a browser ---


def test_every_entry_has_the_name_of_its_component_as_its_address(visit, site):
    page = visit("reference").page
    for name in ("causal_mask", "masked_attention", "CausalSelfAttention"):
        page.goto(f"{site}/{rules_address(name)}")
        entry = page.locator("dt:target")
        assert entry.inner_text().removeprefix("class ").startswith(f"{name}(")
    assert page.locator("dt.sig").count() == 4  # the class has a method


def test_an_entry_says_shapes_meaning_and_errors(visit):
    page = visit("reference").page
    entry = page.locator("dl", has=page.locator("dt#causal_mask")).inner_text()
    for words in (
        "causal_mask(n_queries, n_keys=None, *, device=None)",
        "Which keys each query may attend to when it must not see the future.",
        "tensor of booleans (T, S)",
        "ValueError: n_keys is smaller than n_queries.",
    ):
        assert words in entry


def test_exercise_and_entry_lead_to_each_other(visit):
    opened = visit("03_causal_masking")
    page = opened.page
    page.locator(".exercise").first.get_by_role("link", name="causal_mask").click()
    page.wait_for_url("**/reference.html#causal_mask")
    page.locator("dl.function").first.get_by_role("link", name="the exercise").click()
    page.wait_for_url("**/03_causal_masking.html#exercise-causal-mask")
    page.locator("#exercise-causal-mask").wait_for(state="visible")  # once it has loaded
    assert opened.problems == opened.foreign == []


def test_a_link_to_an_entry_shows_its_name_and_first_words(visit):
    page = visit("03_causal_masking").page
    page.locator(".exercise").first.get_by_role("link", name="causal_mask").hover()
    preview = page.get_by_role("tooltip")
    preview.wait_for(state="visible")
    assert "causal_mask(n_queries, n_keys=None" in preview.inner_text()
    assert "must not see the future" in preview.inner_text()


def test_letters_lead_to_the_notation_here_too(visit):
    page = visit("reference").page
    page.locator("dl.function a.letter").first.click()
    assert "notation.html#letter-" in page.url


def test_search_finds_an_entry_by_its_name(visit):
    page = visit("search").page
    page.goto(page.url.split("?")[0] + "?q=causal_mask")
    page.wait_for_selector("#search-results a[href*='reference.html'][href$='#causal_mask']")


# --- its text ---


def test_every_component_has_an_entry_below_its_lesson():
    pages = {path.stem for path in lesson_texts(BOOK)}
    text = fill_reference(REFERENCE, BOOK, pages)
    starts = [text.index(f"}} {check.name}(") for check in all_checks()]
    assert starts == sorted(starts)
    assert "class} GPTConfig(" in text
    assert "how it goes wrong" not in text
    pages.add(page_name("gelu"))
    text = fill_reference(REFERENCE, BOOK, pages)
    assert text.count("{doc}`how it goes wrong </bugs/gelu>`") == 1
    assert text.count("how it goes wrong") == 1


def test_the_reference_says_once_where_its_entries_stand():
    with pytest.raises(LessonError, match="got 0 times"):
        fill_reference("# Reference", BOOK, ())
    with pytest.raises(LessonError, match="got 2 times"):
        fill_reference(PLACE + PLACE, BOOK, ())


@pytest.mark.parametrize("has_rules", [True, False])
def test_a_bug_page_leads_to_the_rules_where_there_are_any(tmp_path, has_rules):
    (tmp_path / "03_causal_masking.md").write_text("# Causal masking")
    if has_rules:
        (tmp_path / "reference.md").write_text(REFERENCE)
    part = {"component": "causal_mask", "lesson": "03_causal_masking", "bugs": []}
    page = bug_pages([part], tmp_path)["bugs/causal_mask"]
    assert ("What it must do: {py:obj}`causal_mask`." in page) == has_rules
