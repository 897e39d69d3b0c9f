"""Code that a reader meets has 76 columns, so that no page and no notebook cuts it off."""

import re
import textwrap
from pathlib import Path

import pytest

from course_lib.bugs import all_bugs
from course_lib.lessons.source import COLUMNS, given_source, stub, with_solution_markers
from course_lib.lessons.source import component_source as source_of
from course_lib.lessons.text import lesson_texts, read_lesson
from course_lib.transformer import MODULES

BOOK = Path(__file__).resolve().parent.parent / "book"
FENCE = re.compile(r"^ *(?P<fence>`{3,})(?P<kind>.*?)\n(?P<body>.*?)^ *(?P=fence)$", re.M | re.S)


def too_long(text: str) -> list[str]:
    return [line for line in text.splitlines() if len(line) > COLUMNS]


def blocks(text: str):
    """Kind and text of each block of code that stands in prose, in a directive or in none."""
    for block in FENCE.finditer(text):
        if not block["kind"].startswith("{"):
            yield block["kind"], textwrap.dedent(block["body"])
        elif not block["kind"].startswith("{code-cell}"):
            yield from blocks(block["body"])


@pytest.mark.parametrize("lesson", lesson_texts(BOOK), ids=lambda path: path.stem)
def test_a_cell_of_a_lesson_fits(lesson):
    for cell in read_lesson(lesson):
        if cell.kind == "code" and "setup" not in cell.tags and not cell.component:
            assert not too_long(cell.source), f"{lesson.name}:{cell.line}"


@pytest.mark.parametrize("lesson", lesson_texts(BOOK), ids=lambda path: path.stem)
def test_a_stub_and_its_solution_fit(lesson):
    for cell in read_lesson(lesson):
        if cell.component:
            about = cell.about["sentence"], cell.given
            assert not too_long(stub(source_of(*cell.component), *about)), cell.component
            marked = with_solution_markers(source_of(*cell.component), *about)
            assert not too_long(marked), cell.component


@pytest.mark.parametrize("module", MODULES)
def test_what_a_learner_is_given_fits(module):
    assert not too_long(given_source(module))


@pytest.mark.parametrize("page", sorted(BOOK.glob("*.md")), ids=lambda path: path.stem)
def test_a_block_of_code_in_the_text_fits(page):
    for kind, body in blocks(page.read_text(encoding="utf-8")):
        assert not too_long(body), kind


def test_what_a_bug_changes_fits():
    found = [
        (str(bug), line)
        for bug in all_bugs()
        for _, line in bug.marked_source
        if len(line) > COLUMNS
    ]
    assert not found
