"""A build of the book says which pages it is at, where the site is, and what was wrong."""

import pytest
from small_book import small_book

from course_lib.lessons.site import BookFailed

PAGE = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# {}

```{{code-cell}} python
print("{}")
{}
```
"""


def test_a_build_names_the_pages_and_leaves_the_site_where_it_is_looked_for(tmp_path):
    said = []
    pages = {name: PAGE.format(name, name, "") for name in ("index", "second")}
    html = small_book(tmp_path, pages, say=said.append)
    assert html == tmp_path / "_build" / "html"
    assert (html / "second.html").is_file()
    assert sum("its cells ran in" in line for line in said) == 2
    assert [line for line in said if "ran" not in line] == [
        *("[ 50%] reading index", "[100%] reading second"),
        *("[ 50%] writing index", "[100%] writing second"),
    ]


def test_a_build_that_fails_tells_what_was_wrong_and_nothing_else(tmp_path):
    pages = {"index": PAGE.format("One", "word", "") + "\n{doc}`nowhere`\n"}
    with pytest.raises(BookFailed) as failure:
        small_book(tmp_path, pages)
    first, *wrong = str(failure.value).splitlines()
    assert first == "the book did not build."
    assert "unknown document: 'nowhere'" in wrong[0]
    assert "Kernel is running" not in str(failure.value)
    assert "\x1b" not in str(failure.value)


def test_a_cell_that_raises_fails_the_build_with_its_error(tmp_path):
    with pytest.raises(BookFailed, match="ZeroDivisionError"):
        small_book(tmp_path, {"index": PAGE.format("One", "word", "1 / 0")})
