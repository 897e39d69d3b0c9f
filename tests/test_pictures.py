"""Pictures that do not say what they show fail the build, computed ones too."""

import pytest
from small_book import small_book

from course_lib.lessons.site import BookFailed

HEADER = """\
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

"""
CELL = """\
```{code-cell} python
---
tags: [demo]
mystnb:
  image:
    alt: "%s"
---
from course_lib import plots

plots.curves({"a": [1, 2]}, x=[0, 1], xlabel="x", ylabel="y")
```
"""
FIGURE = """\
```{figure} _static/favicon.svg
:alt: %s
Some words below.
```
"""
LONG = "Two curves that cross in the middle of the picture."


def test_a_picture_without_an_alternative_text_fails_the_build(tmp_path):
    pages = {
        "index": "# A page\n\nWords.\n\n" + FIGURE.replace(":alt: %s\n", ""),
        "short": "# A page\n\n" + FIGURE % "Two curves.",
        "good": "# A page\n\n" + FIGURE % LONG,
        "plain": "# A page\n\n![](_static/favicon.svg)",
        "00_computed": HEADER + "# A page\n\n" + CELL % "" + "\n" + CELL % LONG,
    }
    with pytest.raises(BookFailed) as failure:
        small_book(tmp_path, pages)
    complaints = [line for line in str(failure.value).splitlines() if "must say" in line]
    assert len(complaints) == 4
    assert any("index.md:5" in line and "`:alt:`, got ''" in line for line in complaints)
    assert any("short.md:3" in line and "got 'Two curves.'" in line for line in complaints)
    assert any("plain.md" in line for line in complaints)
    assert any("00_computed.md" in line and "mystnb" in line for line in complaints)
